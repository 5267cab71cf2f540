/*-------------------------------------------------------------------------
 *
 * candidate_terms.h
 *	  What a statement asks of one table, as keys of possible indexes.
 *
 * For candidates.c; other parts use candidates.h.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CANDIDATE_TERMS_H
#define STEWARD_CANDIDATE_TERMS_H

#include "nodes/pathnodes.h"

/* A possible key of an index. */
typedef struct StewardKey
{
	AttrNumber	attnum;			/* 0: expression */
	Node	   *expr;			/* column or expression, varno 1 */
	Oid			am;				/* access method that can search it */
	Oid			opclass;
	List	   *more_opclasses; /* others that serve it as well */
	Oid			collation;
	int16		options;		/* of a sort key */
	bool		array;			/* compared with many values: equal, but the
								 * result is not ordered by what follows */
	bool		nulls;			/* only asked whether it is null */
	double		selectivity;	/* of the condition */
	uint32		why;			/* STEWARD_WHY_ bits */
	Relids		others;			/* tables that a join key is compared with */
} StewardKey;

/* Everything that one entry of the range table asks of its table. */
typedef struct StewardTerms
{
	List	   *equal;			/* of StewardKey, most selective first */
	List	   *range;
	List	   *join;			/* equal to other tables' columns */
	List	   *contains;		/* GIN, GiST */
	List	   *sorts;			/* of Lists of StewardKey: wanted orders */
	List	   *alternatives;	/* of Lists of arms, Lists of StewardKey: each arm
								 * of an OR needs an index */
	List	   *predicates;		/* of Nodes, varno 1: conditions that could be an
								 * index's predicate, most selective first */
	List	   *conditions;		/* all conditions, Nodes with varno 1 */
	Bitmapset  *output;			/* columns that the scan must deliver */
	bool		index_only;		/* nothing else, as system columns, is needed */
	bool		limit;			/* the statement wants only the first rows */
} StewardTerms;

/* One entry of the range table while its candidates are proposed. */
typedef struct StewardProposal
{
	Oid			relid;
	double		pages;			/* of the table with all its partitions */
	double		allvisfrac;
	List	   *existing;		/* StewardIndex * */
	StewardTerms *terms;
	void		(*add) (void *arg, List *indexes);	/* receives each group */
	void	   *arg;
} StewardProposal;

extern void steward_propose(StewardProposal *proposal);
extern void steward_terms_collect(PlannerInfo *root, RelOptInfo *rel,
								  bool constants, StewardTerms *terms);
extern bool steward_key_equal(const StewardKey *a, const StewardKey *b);

/* candidate_keys.c: one condition or sort key */
extern Node *steward_key_operand(PlannerInfo *root, RelOptInfo *rel, Node *node,
								 AttrNumber *attnum);
extern StewardKey *steward_key_from_comparison(PlannerInfo *root, RelOptInfo *rel, Oid opno,
											   Oid collation, Node *left,
											   Node *right, bool is_array,
											   int *strategy);
extern StewardKey *steward_key_from_pathkey(PlannerInfo *root, RelOptInfo *rel,
											PathKey *pathkey);
extern StewardKey *steward_key_of_expression(PlannerInfo *root, RelOptInfo *rel, Node *node,
											 Oid opclass, Oid collation);

#endif							/* STEWARD_CANDIDATE_TERMS_H */
