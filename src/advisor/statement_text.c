/*-------------------------------------------------------------------------
 *
 * statement_text.c
 *	  Texts of statements with parameters in place of constants.
 *
 * pg_stat_statements replaces each constant by $n, also where the grammar
 * takes a literal but no parameter, so that its texts cannot always be parsed.
 * The places that occur in practice are mended here, token by token:
 *
 *	  interval $1, date $1, s.t(3) $1	$1::interval, $1::date, $1::s.t(3)
 *	  extract($1 from x)				pg_catalog.extract($1, x)
 *	  $1 uescape '!'					$1
 *	  $1, ...  (in a comment)			$1, $1, $1
 *
 * The last one is what the server makes of a list of constants since version
 * 18; it parses, but a list of one is planned unlike one of several.
 *
 * Tokens come from the server's own scanner, so that comments and strings are
 * what the server takes them for.  Codes of tokens differ between versions
 * and are not needed: the first character tells what a token is, and the list
 * of keywords the rest.
 *
 * The scanner raises an error for a text that is none; all functions do.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "parser/scanner.h"
#include "parser/scansup.h"

#include "advisor/statement_text.h"

/* Elements that stand for a list of constants of unknown length. */
#define LIST_ELEMENTS 3

/* What a comment of the server says in place of further constants. */
#define LIST_COMMENT "/*, ... */"

typedef struct Token
{
	int			start;
	int			end;			/* offset behind it */
} Token;

typedef struct Tokens
{
	const char *text;
	Token	   *array;
	int			count;
} Tokens;

/*
 * Split a text into tokens.  The scanner tells where a token starts; it ends
 * where white space or a comment before the next one begins, which only
 * matters for words and parameters.
 */
static void
scan_text(const char *text, Tokens *tokens)
{
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	core_yyscan_t scanner;
	int			allocated = 64;

	tokens->text = text;
	tokens->count = 0;
	tokens->array = palloc(allocated * sizeof(Token));

	scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	while (core_yylex(&value, &location, scanner) != 0)
	{
		Token	   *token;
		int			end = location;

		if (tokens->count == allocated)
		{
			allocated *= 2;
			tokens->array = repalloc(tokens->array, allocated * sizeof(Token));
		}
		if (text[end] == '$' || isalnum((unsigned char) text[end]) ||
			text[end] == '_' || IS_HIGHBIT_SET(text[end]))
		{
			end++;
			while (isalnum((unsigned char) text[end]) || text[end] == '_' ||
				   text[end] == '$' || IS_HIGHBIT_SET(text[end]))
				end++;
		}
		else if (text[end] == '"')
		{
			/* a doubled quote belongs to the name */
			for (end++; text[end] != '\0'; end++)
			{
				if (text[end] == '"' && text[++end] != '"')
					break;
			}
		}
		else
			end++;
		token = &tokens->array[tokens->count++];
		token->start = location;
		token->end = end;
	}
	scanner_finish(scanner);
}

/* Number of the parameter that a token is, 0 for any other token. */
static int
token_param(const Tokens *tokens, int i)
{
	const char *text;

	if (i < 0 || i >= tokens->count)
		return 0;
	text = tokens->text + tokens->array[i].start;
	return text[0] == '$' && isdigit((unsigned char) text[1]) ?
		atoi(text + 1) : 0;
}

/* Is a token this keyword or character? */
static bool
token_is(const Tokens *tokens, int i, const char *word)
{
	size_t		length = strlen(word);

	return i >= 0 && i < tokens->count &&
		tokens->array[i].end - tokens->array[i].start == length &&
		pg_strncasecmp(tokens->text + tokens->array[i].start, word, length) == 0;
}

static bool
token_is_one_of(const Tokens *tokens, int i, const char *const *words)
{
	for (; *words; words++)
	{
		if (token_is(tokens, i, *words))
			return true;
	}
	return false;
}

/*
 * Can this token end the name of a type, so that a literal may follow it?
 * Keywords that a parameter may follow are no names here, although some may
 * be names of types.
 */
static bool
token_is_type_word(const Tokens *tokens, int i)
{
	static const char *const built_in[] = {"interval", "timestamp", "time",
		"bit", "char", "character", "varchar", "nchar", "numeric", "decimal",
		"dec", "float", "real", "int", "integer", "bigint", "smallint",
	"boolean", "json", NULL};
	static const char *const before_params[] = {"by", "escape", "zone",
		"first", "next", "rows", "range", "groups", "document", "content",
	"value", "values", "returns", "set", NULL};
	char		word[NAMEDATALEN];
	int			length;
	int			keyword;
	const char *start;

	if (i < 0 || i >= tokens->count)
		return false;
	start = tokens->text + tokens->array[i].start;
	if (*start == '"')
		return true;
	if (!isalpha((unsigned char) *start) && *start != '_' &&
		!IS_HIGHBIT_SET(*start))
		return false;
	if (token_is_one_of(tokens, i, built_in))
		return true;

	length = tokens->array[i].end - tokens->array[i].start;
	if (length >= NAMEDATALEN)
		return true;
	memcpy(word, start, length);
	word[length] = '\0';
	keyword = ScanKeywordLookup(word, &ScanKeywords);
	return keyword < 0 ||
		(ScanKeywordCategories[keyword] == UNRESERVED_KEYWORD &&
		 !token_is_one_of(tokens, i, before_params));
}

/* Position of the parenthesis that a closing one belongs to, or -1. */
static int
opening_parenthesis(const Tokens *tokens, int i)
{
	int			depth = 0;

	for (; i >= 0; i--)
	{
		if (token_is(tokens, i, ")"))
			depth++;
		else if (token_is(tokens, i, "(") && --depth == 0)
			return i;
	}
	return -1;
}

/*
 * First token of the name of a type that ends before token i, or -1 if there
 * is none: [schema .] name [(modifiers)] and the names of several words.
 */
static int
type_before(const Tokens *tokens, int i)
{
	static const char *const with[] = {"with", "without", NULL};
	static const char *const times[] = {"time", "timestamp", NULL};
	static const char *const varies[] = {"bit", "char", "character", "nchar", NULL};
	int			first = i - 1;

	if (token_is(tokens, first, "zone") && token_is(tokens, first - 1, "time") &&
		token_is_one_of(tokens, first - 2, with))
	{
		first -= 3;
		if (token_is(tokens, first, ")"))
			first = opening_parenthesis(tokens, first) - 1;
		return token_is_one_of(tokens, first, times) ? first : -1;
	}
	if (token_is(tokens, first, ")"))
		first = opening_parenthesis(tokens, first) - 1;
	if (token_is(tokens, first, "precision") &&
		token_is(tokens, first - 1, "double"))
		return first - 1;
	if (token_is(tokens, first, "varying") &&
		token_is_one_of(tokens, first - 1, varies))
		first--;
	if (!token_is_type_word(tokens, first))
		return -1;
	if (token_is(tokens, first - 1, "national"))
		first--;
	while (token_is(tokens, first - 1, ".") && first >= 2)
		first -= 2;
	return first;
}

/* Does the server's comment for further constants follow this token? */
static bool
list_comment_follows(const Tokens *tokens, int i)
{
	const char *behind = tokens->text + tokens->array[i].end;

	while (isspace((unsigned char) *behind))
		behind++;
	return strncmp(behind, LIST_COMMENT, strlen(LIST_COMMENT)) == 0;
}

/* Append the text between two tokens, the first one's included. */
static void
append_tokens(StringInfo out, const Tokens *tokens, int first, int next)
{
	int			start = tokens->array[first].start;
	int			end = next < tokens->count ? tokens->array[next].start :
		(int) strlen(tokens->text);

	appendBinaryStringInfo(out, tokens->text + start, end - start);
}

/* Append a parameter, once or as the list it stands for. */
static void
append_param(StringInfo out, const Tokens *tokens, int i)
{
	int			times = list_comment_follows(tokens, i) ? LIST_ELEMENTS : 1;

	for (int k = 0; k < times; k++)
		appendStringInfo(out, "%s$%d", k > 0 ? ", " : "",
						 token_param(tokens, i));
}

/*
 * A copy of a text with the places mended that normalization left without
 * sense.  What needs no repair comes back as it is, but for comments behind
 * parameters.
 */
char *
steward_text_repair(const char *text)
{
	Tokens		tokens;
	StringInfoData out;
	int		   *type_of;		/* for a parameter: where its type begins */
	bool	   *in_type;

	scan_text(text, &tokens);
	type_of = palloc(Max(tokens.count, 1) * sizeof(int));
	in_type = palloc0(Max(tokens.count, 1) * sizeof(bool));
	for (int i = 0; i < tokens.count; i++)
	{
		type_of[i] = token_param(&tokens, i) ? type_before(&tokens, i) : -1;
		for (int k = type_of[i]; k >= 0 && k < i; k++)
			in_type[k] = true;
	}

	initStringInfo(&out);
	for (int i = 0; i < tokens.count; i++)
	{
		if (in_type[i])
			continue;
		if (token_is(&tokens, i, "extract") && token_is(&tokens, i + 1, "(") &&
			token_param(&tokens, i + 2) && token_is(&tokens, i + 3, "from"))
		{
			appendStringInfo(&out, "pg_catalog.extract($%d, ",
							 token_param(&tokens, i + 2));
			i += 3;
		}
		else if (token_param(&tokens, i))
		{
			append_param(&out, &tokens, i);
			if (type_of[i] >= 0)
			{
				appendStringInfoString(&out, "::");
				append_tokens(&out, &tokens, type_of[i], i);
			}
			appendStringInfoChar(&out, ' ');
			if (token_is(&tokens, i + 1, "uescape"))
				i += 2;
		}
		else
			append_tokens(&out, &tokens, i, i + 1);
	}
	return out.data;
}

/*
 * Parameters at the place where the analysis of a text failed for want of a
 * type: the arguments of a function whose name stands there, or the operands
 * beside an operator.  position is that of an error, an offset in bytes.
 */
Bitmapset *
steward_text_params_at(const char *text, int position)
{
	Tokens		tokens;
	Bitmapset  *params = NULL;
	int			at = 0;

	scan_text(text, &tokens);
	while (at + 1 < tokens.count && tokens.array[at + 1].start <= position)
		at++;
	if (at < tokens.count)
	{
		int			open = at;

		/* the name may be qualified */
		while (token_is(&tokens, open + 1, "."))
			open += 2;
		if (token_is(&tokens, open + 1, "("))
		{
			int			depth = 0;

			for (int i = open + 1; i < tokens.count; i++)
			{
				if (token_is(&tokens, i, "("))
					depth++;
				else if (token_is(&tokens, i, ")") && --depth == 0)
					break;
				else if (depth == 1 && token_param(&tokens, i))
					params = bms_add_member(params, token_param(&tokens, i));
			}
		}
		for (int i = at - 1; i <= at + 2; i++)
		{
			if (token_param(&tokens, i))
				params = bms_add_member(params, token_param(&tokens, i));
		}
	}
	return params;
}

/*
 * Parameters that are results of a CASE all of whose results are parameters.
 */
Bitmapset *
steward_text_case_params(const char *text)
{
	Tokens		tokens;
	Bitmapset  *params = NULL;
	List	   *open = NIL;		/* results of each CASE that is open: List of
								 * Bitmapset, the innermost last */
	List	   *pure = NIL;		/* are they all parameters: List of int */

	scan_text(text, &tokens);
	for (int i = 0; i < tokens.count; i++)
	{
		if (token_is(&tokens, i, "case"))
		{
			open = lappend(open, NULL);
			pure = lappend_int(pure, true);
		}
		else if (open == NIL)
			continue;
		else if (token_is(&tokens, i, "then") || token_is(&tokens, i, "else"))
		{
			ListCell   *results = list_tail(open);

			if (token_param(&tokens, i + 1) &&
				(token_is(&tokens, i + 2, "when") ||
				 token_is(&tokens, i + 2, "else") ||
				 token_is(&tokens, i + 2, "end")))
				lfirst(results) = bms_add_member(lfirst(results),
												 token_param(&tokens, i + 1));
			else
				lfirst_int(list_tail(pure)) = false;
		}
		else if (token_is(&tokens, i, "end"))
		{
			if (llast_int(pure))
				params = bms_add_members(params, llast(open));
			open = list_delete_last(open);
			pure = list_delete_last(pure);
		}
	}
	return params;
}

/*
 * The name that stands at a position, folded as the server does; NULL if it
 * is qualified by a schema or too long.
 */
char *
steward_text_name_at(const char *text, int position)
{
	Tokens		tokens;

	scan_text(text, &tokens);
	for (int i = 0; i < tokens.count; i++)
	{
		int			length = tokens.array[i].end - tokens.array[i].start;
		const char *start = text + tokens.array[i].start;

		if (tokens.array[i].start != position)
			continue;
		if (token_is(&tokens, i + 1, ".") || length >= NAMEDATALEN)
			return NULL;
		if (*start == '"')
			return pnstrdup(start + 1, length - 2);
		return downcase_identifier(start, length, false, false);
	}
	return NULL;
}

/*
 * Does a text begin like a command that has no plan?  For those that cannot be
 * parsed: since 18 constants of commands are replaced as well.  What a function
 * has may be an expression and begin with any word.
 */
bool
steward_text_is_command(const char *text, bool toplevel)
{
	static const char *const queries[] = {"select", "insert", "update",
	"delete", "merge", "with", "values", "table", "(", NULL};
	static const char *const commands[] = {"alter", "analyze", "call",
		"checkpoint", "close", "cluster", "comment", "copy", "create",
		"deallocate", "declare", "discard", "do", "drop", "execute", "explain",
		"fetch", "grant", "listen", "lock", "move", "notify", "prepare",
		"reindex", "reset", "revoke", "rollback", "savepoint", "security",
	"set", "show", "truncate", "vacuum", "wait", NULL};
	Tokens		tokens;

	scan_text(text, &tokens);
	return toplevel ? !token_is_one_of(&tokens, 0, queries) :
		token_is_one_of(&tokens, 0, commands);
}

/*
 * Highest number of a parameter in a text, 0 without any.
 */
int
steward_text_max_param(const char *text)
{
	Tokens		tokens;
	int			highest = 0;

	scan_text(text, &tokens);
	for (int i = 0; i < tokens.count; i++)
		highest = Max(highest, token_param(&tokens, i));
	return highest;
}

/*
 * Numbers of all parameters in a text, in their order.
 */
int *
steward_text_params(const char *text, int *count)
{
	Tokens		tokens;
	int		   *numbers;

	scan_text(text, &tokens);
	numbers = palloc(Max(tokens.count, 1) * sizeof(int));
	*count = 0;
	for (int i = 0; i < tokens.count; i++)
	{
		if (token_param(&tokens, i))
			numbers[(*count)++] = token_param(&tokens, i);
	}
	return numbers;
}

/*
 * The expression behind := of an assignment of PL/pgSQL, or NULL if the text
 * is none.  Functions' statements are recorded with such texts.
 */
char *
steward_text_assigned_value(const char *text)
{
	Tokens		tokens;

	scan_text(text, &tokens);
	for (int i = 1; i + 1 < tokens.count && i < 8; i++)
	{
		const char *token = text + tokens.array[i].start;

		if (strncmp(token, ":=", 2) == 0)
			return pstrdup(token + 2);
	}
	return NULL;
}
