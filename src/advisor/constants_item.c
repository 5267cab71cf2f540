/*-------------------------------------------------------------------------
 *
 * constants_item.c
 *	  How sampled constants are laid out as bytes.
 *
 * An item begins with a byte for its kind.  A parameter's number has two
 * bytes, a type four, the length of what follows two.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/lsyscache.h"

#include "advisor/constants.h"

/*
 * Append an item to a sample.  What is too long becomes unknown.
 */
void
steward_item_append(StringInfo sample, const StewardItem *item)
{
	StewardItemKind kind = item->kind;
	bool		has_bytes = kind == STEWARD_ITEM_LITERAL ||
		kind == STEWARD_ITEM_NUMBER || kind == STEWARD_ITEM_DATUM;
	uint16		word = has_bytes ? item->length : item->number;

	if ((has_bytes && item->length > STEWARD_VALUE_BYTES) ||
		(kind == STEWARD_ITEM_PARAM && item->number > PG_UINT16_MAX))
		kind = STEWARD_ITEM_UNKNOWN;
	appendStringInfoChar(sample, (char) kind);
	if (kind == STEWARD_ITEM_UNKNOWN || kind == STEWARD_ITEM_NULL)
		return;
	if (kind == STEWARD_ITEM_DATUM)
		appendBinaryStringInfo(sample, (const char *) &item->type, sizeof(Oid));
	appendBinaryStringInfo(sample, (const char *) &word, sizeof(word));
	if (has_bytes)
		appendBinaryStringInfo(sample, item->bytes, item->length);
}

/* Take bytes from a sample; false if there are not so many. */
static bool
take(const char **at, const char *end, void *to, int length)
{
	if (end - *at < length)
		return false;
	memcpy(to, *at, length);
	*at += length;
	return true;
}

/*
 * Read the next item of a sample; false at its end.  Its bytes are those of
 * the sample.
 */
bool
steward_item_next(const char **at, const char *end, StewardItem *item)
{
	char		kind;
	uint16		word;

	memset(item, 0, sizeof(StewardItem));
	if (!take(at, end, &kind, 1))
		return false;
	item->kind = (StewardItemKind) kind;
	if (item->kind == STEWARD_ITEM_UNKNOWN || item->kind == STEWARD_ITEM_NULL)
		return true;
	if (item->kind == STEWARD_ITEM_DATUM &&
		!take(at, end, &item->type, sizeof(Oid)))
		return false;
	if (!take(at, end, &word, sizeof(word)))
		return false;
	if (item->kind == STEWARD_ITEM_PARAM)
	{
		item->number = word;
		return true;
	}
	if (end - *at < word)
		return false;
	item->bytes = *at;
	item->length = word;
	*at += word;
	return true;
}

/*
 * Can there be values of a type in a sample?  Not of those that have parts,
 * which may change, or conditions, which may be code of users.
 */
bool
steward_constants_has_type(Oid type)
{
	Oid			element = get_element_type(type);
	char		kind = get_typtype(OidIsValid(element) ? element : type);

	if (kind == TYPTYPE_RANGE)
		kind = get_typtype(get_range_subtype(type));
	return kind == TYPTYPE_BASE || kind == TYPTYPE_ENUM;
}
