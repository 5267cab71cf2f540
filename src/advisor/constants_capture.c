/*-------------------------------------------------------------------------
 *
 * constants_capture.c
 *	  Taking constants of statements while they are executed.
 *
 * When a statement has been analyzed, the server knows where its constants
 * stand (JumbleState); these are what pg_stat_statements replaces by $n.  When
 * a query starts, the values of its own parameters are there.  Both are offered
 * to the store (constants_store.c), which wants few of them.
 *
 * Cost.  While pg_steward.sample_constants is off, nothing here is called.
 * While it is on, a session brings the first executions of a statement, and then
 * ever fewer, down to one of about a thousand: a small table of its own counts
 * down to the next one, so that most executions cost a look at that table.  Only
 * when the store asks for the constants is the text scanned.
 *
 * Values are kept as they stand in the text, literals without their quotes, or
 * as they are in memory; long ones are not kept (STEWARD_VALUE_BYTES).  Variables
 * of functions are not looked at, as their text has names and not numbers for
 * them.  Rows that INSERT only adds say nothing about indexes.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/keywords.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "parser/scanner.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/observer.h"
#include "advisor/constants.h"

/* Statements that a session counts; a power of two. */
#define COUNTED 1024

/* Executions that a session always offers, and the longest pause after that. */
#define ALWAYS_OFFERED 8
#define LONGEST_PAUSE 1024

/* Longer texts are not scanned, in bytes. */
#define MAX_TEXT (64 * 1024)

/* When a session next offers a statement. */
typedef struct Countdown
{
	uint64		queryid;		/* and the kind, mixed in */
	uint32		left;			/* executions until then */
	uint32		pause;			/* between the latest two offers */
} Countdown;

/* State of this process. */
static struct
{
	uint32		epoch;			/* of the store, when counting began */
	Countdown  *counted;		/* COUNTED elements, NULL until needed */
}			capture;

/* A text under the scanner, and the places in it. */
typedef struct TextScan
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		at;				/* where the latest token begins */
	bool		ended;
	int			offset;			/* of the statement in the whole text */
	int			nplaces;
	int			place;			/* next one */
	LocationLen *places;		/* sorted */
	StringInfoData sample;
} TextScan;

/*
 * The key of a statement, which this role executes in this database.  Since 18
 * the query id tells only names of tables, which may differ between roles.
 */
void
steward_constants_key(int64 queryid, Oid role, StewardConstantsKey *key)
{
	key->queryid = queryid;
	key->database = MyDatabaseId;
	key->role = STEWARD_SERVER_MAJOR >= 18 ? role : InvalidOid;
}

/* Begin to count, or anew, because the store has forgotten something. */
static void
begin_counting(void)
{
	if (capture.counted == NULL)
		capture.counted = MemoryContextAlloc(TopMemoryContext,
											 COUNTED * sizeof(Countdown));
	memset(capture.counted, 0, COUNTED * sizeof(Countdown));
	capture.epoch = steward_constants_epoch();
}

/*
 * Is this execution to be offered?  Offers become rarer: the first ones all,
 * then after pauses that double, of a random length.
 */
static bool
is_time(int64 queryid, StewardSampleKind kind)
{
	uint64		id = (uint64) queryid ^ kind;
	Countdown  *it;

	if (unlikely(capture.counted == NULL ||
				 capture.epoch != steward_constants_epoch()))
		begin_counting();
	it = &capture.counted[id & (COUNTED - 1)];
	if (it->queryid == id && likely(it->left > 0))
	{
		it->left--;
		return false;
	}
	if (it->queryid != id)
	{
		it->queryid = id;
		it->pause = 0;
	}
	it->pause = Min(it->pause + Max(1, it->pause / ALWAYS_OFFERED), LONGEST_PAUSE);
	if (it->pause > ALWAYS_OFFERED)
		it->left = pg_prng_uint64_range(&pg_global_prng_state, it->pause / 2,
										it->pause + it->pause / 2);
	return true;
}

/* Order of places in the text; lists come before what they contain. */
static int
compare_places(const void *a, const void *b)
{
	const LocationLen *left = a;
	const LocationLen *right = b;

	if (left->location != right->location)
		return left->location < right->location ? -1 : 1;
	return (int) STEWARD_IS_LIST(right) - (int) STEWARD_IS_LIST(left);
}

/* Go to the next token. */
static void
next_token(TextScan *scan)
{
	if (!scan->ended)
		scan->ended = core_yylex(&scan->value, &scan->at, scan->scanner) == 0;
}

/* The characters of the latest token, which the scanner has terminated. */
static const char *
token_text(const TextScan *scan)
{
	return scan->extra.scanbuf + scan->at;
}

/* Is the latest token a parameter? */
static bool
is_param(const TextScan *scan)
{
	const char *text = token_text(scan);

	return text[0] == '$' && isdigit((unsigned char) text[1]);
}

/* Is the latest token a string whose value the scanner has? */
static bool
is_string(const TextScan *scan)
{
	const char *text = token_text(scan);

	return text[0] == '\'' || (text[0] == '$' && !is_param(scan)) ||
		(strchr("eEbBxX", text[0]) != NULL && text[1] == '\'');
}

/* Is the latest token a number? */
static bool
is_number(const TextScan *scan)
{
	const char *text = token_text(scan);

	return isdigit((unsigned char) text[0]) || text[0] == '.';
}

/* Append a literal of a kind; NULL: one that is not known. */
static void
append_literal(TextScan *scan, StewardItemKind kind, const char *text)
{
	StewardItem item = {STEWARD_ITEM_UNKNOWN};

	if (text != NULL)
	{
		item.kind = kind;
		item.bytes = text;
		item.length = strlen(text);
	}
	steward_item_append(&scan->sample, &item);
}

/* Append the parameter that is the latest token. */
static void
append_param(TextScan *scan)
{
	StewardItem item = {STEWARD_ITEM_PARAM};
	long		number = strtol(token_text(scan) + 1, NULL, 10);

	item.number = (int) Min(number, PG_UINT16_MAX);
	steward_item_append(&scan->sample, &item);
}

/* Append the constant that begins with the latest token, and go past it. */
static void
consume_constant(TextScan *scan)
{
	const char *text = token_text(scan);
	StewardItem null = {STEWARD_ITEM_NULL};

	if (is_string(scan))
		append_literal(scan, STEWARD_ITEM_LITERAL, scan->value.str);
	else if (is_number(scan))
		append_literal(scan, STEWARD_ITEM_NUMBER, text);
	else if (text[0] == '-')
	{
		next_token(scan);
		append_literal(scan, STEWARD_ITEM_NUMBER,
					   !scan->ended && is_number(scan) ?
					   psprintf("-%s", token_text(scan)) : NULL);
	}
	else if (pg_strcasecmp(text, "null") == 0)
		steward_item_append(&scan->sample, &null);
	else if (pg_strcasecmp(text, "true") == 0 || pg_strcasecmp(text, "false") == 0)
		append_literal(scan, STEWARD_ITEM_LITERAL, text);
	else
		append_literal(scan, STEWARD_ITEM_LITERAL, NULL);
	next_token(scan);
}

/* The place of a constant that begins with the latest token, or NULL. */
static const LocationLen *
take_place(TextScan *scan)
{
	const LocationLen *place = NULL;

	/* constants that the analyzer has copied stand at one place */
	for (; scan->place < scan->nplaces; scan->place++)
	{
		const LocationLen *next = &scan->places[scan->place];

		if (next->location - scan->offset > scan->at)
			break;
		if (place == NULL)
			place = next;
	}
	return place;
}

/*
 * Go past what begins with the latest token, and append it if it is a
 * parameter, a constant, or a list of them, of which the first one stands for
 * all.
 */
static void
consume(TextScan *scan)
{
	const LocationLen *place = take_place(scan);

	if (is_param(scan))
	{
		append_param(scan);
		next_token(scan);
	}
	else if (place != NULL)
		consume_constant(scan);
	else
		next_token(scan);
	if (place != NULL && STEWARD_IS_LIST(place))
	{
		while (!scan->ended &&
			   scan->at < place->location - scan->offset + place->length)
			next_token(scan);
	}
}

/*
 * Write the constants of a statement as a sample, in the current memory
 * context.
 */
static void
scan_constants(TextScan *scan, const char *text, int offset, int length,
			   const LocationLen *places, int nplaces)
{
	scan->offset = offset;
	scan->nplaces = nplaces;
	scan->places = palloc(nplaces * sizeof(LocationLen));
	memcpy(scan->places, places, nplaces * sizeof(LocationLen));
	qsort(scan->places, nplaces, sizeof(LocationLen), compare_places);
	initStringInfo(&scan->sample);
	scan->scanner = scanner_init(pnstrdup(text + offset, length), &scan->extra,
								 &ScanKeywords, ScanKeywordTokens);
	scan->extra.escape_string_warning = false;
	next_token(scan);
	while (!scan->ended && scan->sample.len <= STEWARD_SAMPLE_BYTES)
		consume(scan);
	scanner_finish(scan->scanner);
}

/*
 * Does a statement read tables of users, so that its constants may decide on a
 * plan that indexes could help?
 */
static bool
reads_tables(const Query *query)
{
	ListCell   *lc;

	if (query->commandType == CMD_UTILITY)
		return false;
	if (query->cteList != NIL || query->hasSubLinks)
		return true;
	foreach(lc, query->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);

		if (entry->rtekind == RTE_SUBQUERY ||
			(entry->rtekind == RTE_RELATION &&
			 entry->relid >= FirstNormalObjectId &&
			 query->commandType != CMD_INSERT))
			return true;
	}
	return false;
}

/* The same for one that is planned. */
static bool
plan_reads_tables(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->relationOids)
	{
		if (lfirst_oid(lc) >= FirstNormalObjectId)
			return plan->commandType != CMD_INSERT;
	}
	return false;
}

/*
 * A statement was analyzed: offer its constants.
 */
static void
observe_analyzed(POST_PARSE_ANALYZE_PARAMS)
{
	StewardConstantsKey key;
	MemoryContext context;
	MemoryContext old;
	TextScan		scan = {0};
	int			offset = Max(query->stmt_location, 0);
	int			length = query->stmt_len;

	if (jstate == NULL || jstate->clocations_count == 0 ||
		pstate->p_sourcetext == NULL || !OidIsValid(MyDatabaseId) ||
		!is_time(query->queryId, STEWARD_CONSTANTS) || !reads_tables(query))
		return;
	if (length <= 0)
		length = strlen(pstate->p_sourcetext + offset);
	if (length > MAX_TEXT)
		return;
	steward_constants_key(query->queryId, GetUserId(), &key);
	if (!steward_constants_offer(&key, STEWARD_CONSTANTS))
		return;

	context = AllocSetContextCreate(CurrentMemoryContext, "pg_steward constants",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	scan_constants(&scan, pstate->p_sourcetext, offset, length,
				   jstate->clocations, jstate->clocations_count);
	MemoryContextSwitchTo(old);
	steward_constants_keep(&key, STEWARD_CONSTANTS, scan.sample.data,
						   scan.sample.len);
	MemoryContextDelete(context);
}

/* Append the value of a parameter. */
static void
append_value(StringInfo sample, const ParamExternData *param)
{
	StewardItem item = {STEWARD_ITEM_UNKNOWN};
	int16		length;
	bool		by_value;

	if (OidIsValid(param->ptype) && param->isnull)
		item.kind = STEWARD_ITEM_NULL;
	else if (OidIsValid(param->ptype) && steward_constants_has_type(param->ptype))
	{
		get_typlenbyval(param->ptype, &length, &by_value);
		item.kind = STEWARD_ITEM_DATUM;
		item.type = param->ptype;
		if (by_value)
		{
			item.bytes = (const char *) &param->value;
			item.length = sizeof(Datum);
		}
		else
		{
			item.bytes = (const char *) DatumGetPointer(param->value);
			if (length == -1 && (VARATT_IS_EXTERNAL(item.bytes) ||
								 VARATT_IS_COMPRESSED(item.bytes)))
				item.kind = STEWARD_ITEM_UNKNOWN;
			else if (length == -1)
				item.length = VARSIZE_ANY(item.bytes);
			else if (length == -2)
				item.length = strlen(item.bytes) + 1;
			else
				item.length = length;
		}
	}
	steward_item_append(sample, &item);
}

/*
 * A query has started: offer the values of its parameters.
 */
static void
observe_started(const QueryDesc *query)
{
	const ParamListInfo params = query->params;
	StewardConstantsKey key;
	StringInfoData sample;

	if (params->numParams == 0 || params->paramFetch != NULL ||
		!OidIsValid(MyDatabaseId) ||
		!is_time(query->plannedstmt->queryId, STEWARD_VALUES) ||
		!plan_reads_tables(query->plannedstmt))
		return;
	steward_constants_key(query->plannedstmt->queryId, GetUserId(), &key);
	if (!steward_constants_offer(&key, STEWARD_VALUES))
		return;
	initStringInfo(&sample);
	for (int i = 0; i < params->numParams && sample.len <= STEWARD_SAMPLE_BYTES; i++)
		append_value(&sample, &params->params[i]);
	steward_constants_keep(&key, STEWARD_VALUES, sample.data, sample.len);
	pfree(sample.data);
}

/* Begin to observe; while the library is being preloaded. */
void
steward_constants_observe(void)
{
	steward_observer.analyzed = observe_analyzed;
	steward_observer.started = observe_started;
}
