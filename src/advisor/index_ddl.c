/*-------------------------------------------------------------------------
 *
 * index_ddl.c
 *	  The commands that create an index that is only described.
 *
 * For a plain table that is one CREATE INDEX; the server chooses the name.
 * A partitioned table cannot be indexed concurrently as a whole, so there the
 * index is created on the parent alone, concurrently on each leaf partition,
 * and then attached; the parent's becomes valid with the last one.  That needs
 * names: they are made as the server makes them, and differ from those of
 * existing relations and from each other.  A partition that has such an index
 * by itself keeps it.
 *
 * Names are qualified by their schema always, operator classes and collations
 * where the search path of the session does not find them.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "advisor/index_spec.h"
#include "base/compat.h"

/* Qualified and quoted name of a relation of this schema. */
static char *
relation_name(Oid namespaceid, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(namespaceid), name);
}

/*
 * Append collation, operator class, direction and order of nulls of a key,
 * where they are not the default ones.
 */
static void
append_key_options(StringInfo text, const StewardIndex *index, int key,
				   Oid type, Oid collation)
{
	int16		options = index->options[key];
	bool		desc = (options & INDOPTION_DESC) != 0;
	bool		nulls_first = (options & INDOPTION_NULLS_FIRST) != 0;

	if (OidIsValid(index->collation[key]) &&
		index->collation[key] != collation)
		appendStringInfo(text, " COLLATE %s",
						 generate_collation_name(index->collation[key]));
	if (GetDefaultOpClass(type, index->am) != index->opclass[key])
		appendStringInfo(text, " %s",
						 generate_opclass_name(index->opclass[key]));
	if (desc)
		appendStringInfoString(text, " DESC");
	if (nulls_first != desc)
		appendStringInfoString(text,
							   nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

/*
 * Append the columns, "(a, lower(b) DESC) INCLUDE (c)", as those of relid,
 * which is the index's table or one of its partitions: names of columns are
 * the same in all.
 */
static void
append_columns(StringInfo text, const StewardIndex *index, List *context)
{
	ListCell   *next_expr = list_head(index->exprs);

	for (int i = 0; i < index->ncolumns; i++)
	{
		AttrNumber	attnum = index->attnums[i];

		appendStringInfoString(text, i == 0 ? "(" :
							   i == index->nkeys ? ") INCLUDE (" : ", ");
		if (attnum != 0)
		{
			Oid			type;
			int32		typmod;
			Oid			collation;

			appendStringInfoString(text,
								   quote_identifier(get_attname(index->relid,
																attnum,
																false)));
			get_atttypetypmodcoll(index->relid, attnum, &type, &typmod,
								  &collation);
			if (i < index->nkeys)
				append_key_options(text, index, i, type, collation);
		}
		else
		{
			Node	   *expr = lfirst(next_expr);
			char	   *string = deparse_expression(expr, context, false,
													true);
			bool		bare = IsA(expr, FuncExpr) &&
				((FuncExpr *) expr)->funcformat == COERCE_EXPLICIT_CALL;

			appendStringInfo(text, bare ? "%s" : "(%s)", string);
			append_key_options(text, index, i, exprType(expr),
							   exprCollation(expr));
			next_expr = lnext(index->exprs, next_expr);
		}
	}
	appendStringInfoChar(text, ')');
}

/* Context in which expressions of the index are turned to text. */
static List *
expression_context(const StewardIndex *index)
{
	return deparse_context_for(get_rel_name(index->relid), index->relid);
}

/*
 * Keys and INCLUDE columns, for messages: "(a, b DESC) INCLUDE (c)".
 */
char *
steward_index_columns_text(const StewardIndex *index)
{
	StringInfoData text;

	initStringInfo(&text);
	append_columns(&text, index, expression_context(index));
	return text.data;
}

/* What follows the table's name: " USING btree (a) WHERE (b IS NULL)". */
static char *
definition_tail(const StewardIndex *index)
{
	StringInfoData text;
	List	   *context = expression_context(index);

	initStringInfo(&text);
	appendStringInfo(&text, " USING %s ",
					 quote_identifier(get_am_name(index->am)));
	append_columns(&text, index, context);
	if (index->predicate != NIL)
		appendStringInfo(&text, " WHERE (%s)",
						 deparse_expression((Node *) make_ands_explicit(index->predicate),
											context, false, false));
	return text.data;
}

/*
 * A name for an index on relid, table_columns_idx, that neither exists nor was
 * given away by this function before ("taken": List of C strings).
 */
static char *
choose_name(const StewardIndex *index, Oid relid, List **taken)
{
	StringInfoData columns;
	char		label[16] = "idx";

	initStringInfo(&columns);
	for (int i = 0; i < index->nkeys; i++)
		appendStringInfo(&columns, "%s%s", i > 0 ? "_" : "",
						 index->attnums[i] == 0 ? "expr" :
						 get_attname(index->relid, index->attnums[i], false));

	for (int pass = 1;; pass++)
	{
		char	   *name = makeObjectName(get_rel_name(relid), columns.data,
										  label);
		char	   *qualified = relation_name(get_rel_namespace(relid), name);
		ListCell   *lc;
		bool		clash;

		clash = OidIsValid(get_relname_relid(name, get_rel_namespace(relid)));
		foreach(lc, *taken)
			clash = clash || strcmp(lfirst(lc), qualified) == 0;
		if (!clash)
		{
			*taken = lappend(*taken, qualified);
			return name;
		}
		snprintf(label, sizeof(label), "idx%d", pass);
	}
}

/*
 * An index of this leaf partition that can be attached as it is: equal, and not
 * part of another.  NULL if there is none.
 */
static char *
find_attachable(const StewardIndex *index, Oid relid)
{
	StewardIndex *wanted = steward_index_for_table(index, relid);
	ListCell   *lc;

	foreach(lc, steward_index_list_existing(relid))
	{
		StewardIndex *existing = lfirst(lc);

		if (!get_rel_relispartition(existing->existing) &&
			!existing->unique && steward_index_equal(existing, wanted))
			return relation_name(get_rel_namespace(existing->existing),
								 get_rel_name(existing->existing));
	}
	return NULL;
}

/*
 * Append the commands for one partition, recursively, and for attaching it to
 * its parent's index.  Foreign tables have no indexes; a parent with one can
 * have no valid index, and is not the business of a candidate.
 */
static void
append_partition(StringInfo text, const StewardIndex *index, Oid relid,
				 const char *parent_index, const char *tail,
				 bool concurrently, List **taken)
{
	char		kind = get_rel_relkind(relid);
	bool		leaf = kind != RELKIND_PARTITIONED_TABLE;
	Oid			namespaceid = get_rel_namespace(relid);
	char	   *name;
	char	   *qualified = NULL;

	if (kind == RELKIND_FOREIGN_TABLE)
		return;
	if (leaf)
		qualified = find_attachable(index, relid);
	if (qualified != NULL)
	{
		appendStringInfo(text, "ALTER INDEX %s ATTACH PARTITION %s;\n",
						 parent_index, qualified);
		return;
	}
	name = choose_name(index, relid, taken);
	qualified = relation_name(namespaceid, name);
	appendStringInfo(text, "CREATE INDEX %s%s ON %s%s%s;\n",
					 leaf && concurrently ? "CONCURRENTLY " : "",
					 quote_identifier(name), leaf ? "" : "ONLY ",
					 relation_name(namespaceid, get_rel_name(relid)), tail);
	if (!leaf)
	{
		ListCell   *lc;

		foreach(lc, find_inheritance_children(relid, NoLock))
			append_partition(text, index, lfirst_oid(lc), qualified, tail,
							 concurrently, taken);
	}
	if (parent_index != NULL)
		appendStringInfo(text, "ALTER INDEX %s ATTACH PARTITION %s;\n",
						 parent_index, qualified);
}

/*
 * Commands that create the index: one, without a semicolon, for a table; for a
 * partitioned table with "concurrently" several lines, each ended by one.
 * Takes AccessShareLock on partitions for the moment; the caller holds one on the
 * table, from analysis of a query.
 */
char *
steward_index_definition(const StewardIndex *index, bool concurrently)
{
	StringInfoData text;
	char	   *tail = definition_tail(index);
	List	   *taken = NIL;

	initStringInfo(&text);
	if (index->partitioned && concurrently)
	{
		append_partition(&text, index, index->relid, NULL, tail, true,
						 &taken);
		if (text.len > 0 && text.data[text.len - 1] == '\n')
			text.data[--text.len] = '\0';
	}
	else
		appendStringInfo(&text, "CREATE INDEX %sON %s%s",
						 concurrently ? "CONCURRENTLY " : "",
						 relation_name(get_rel_namespace(index->relid),
									   get_rel_name(index->relid)), tail);
	return text.data;
}
