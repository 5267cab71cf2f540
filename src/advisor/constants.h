/*-------------------------------------------------------------------------
 *
 * constants.h
 *	  Constants and parameter values that statements were executed with.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CONSTANTS_H
#define STEWARD_CONSTANTS_H

#include "lib/stringinfo.h"

/* Samples of one kind that are kept of a statement. */
#define STEWARD_SAMPLES 3

/* Bytes of one value, and of one sample, at most; longer ones are not kept. */
#define STEWARD_VALUE_BYTES 256
#define STEWARD_SAMPLE_BYTES 1020

/* Constants of a statement of which it is known whether they ever change. */
#define STEWARD_WATCHED 32

/*
 * Constants are written in the text of a statement; values are bound to the
 * parameters that it has of its own.
 */
typedef enum StewardSampleKind
{
	STEWARD_CONSTANTS,
	STEWARD_VALUES
} StewardSampleKind;

#define STEWARD_SAMPLE_KINDS 2

/* Which statement; hashed and compared as bytes, so without padding. */
typedef struct StewardConstantsKey
{
	int64		queryid;
	Oid			database;
	Oid			role;			/* InvalidOid where queryid tells the tables */
} StewardConstantsKey;

/*
 * A sample is a sequence of items.  Of STEWARD_CONSTANTS there is one for each
 * $n of the normalized text, in the order of the text; of STEWARD_VALUES one
 * for each parameter, by number.
 */
typedef enum StewardItemKind
{
	STEWARD_ITEM_UNKNOWN,		/* too long, or of a kind that is not kept */
	STEWARD_ITEM_NULL,
	STEWARD_ITEM_LITERAL,		/* text, as an input function takes it */
	STEWARD_ITEM_NUMBER,		/* the same, written without quotes */
	STEWARD_ITEM_PARAM,			/* the statement's own parameter, its number */
	STEWARD_ITEM_DATUM			/* of a type, as it is in memory */
} StewardItemKind;

typedef struct StewardItem
{
	StewardItemKind kind;
	Oid			type;			/* of a datum */
	int			number;			/* of a parameter */
	const char *bytes;			/* of what has any, not terminated */
	int			length;
} StewardItem;

typedef struct StewardSample
{
	int			length;			/* 0: there is none */
	char		bytes[STEWARD_SAMPLE_BYTES];
} StewardSample;

/* What is known of a statement: a copy. */
typedef struct StewardConstants
{
	int			count[STEWARD_SAMPLE_KINDS];
	StewardSample *samples[STEWARD_SAMPLE_KINDS];

	/* bit k: constant k was the same in nearly all executions looked at */
	uint32		steady;
} StewardConstants;

/* State of the store. */
typedef struct StewardConstantsState
{
	int64		statements;
	int64		samples;
	int64		used_bytes;
	int64		total_bytes;
	int64		evictions;
} StewardConstantsState;

/* constants_item.c */
extern void steward_item_append(StringInfo sample, const StewardItem *item);
extern bool steward_item_next(const char **at, const char *end,
							  StewardItem *item);
extern bool steward_constants_has_type(Oid type);

/* constants_store.c */
extern void steward_constants_init(void);
extern bool steward_constants_exist(void);
extern uint32 steward_constants_epoch(void);
extern bool steward_constants_offer(const StewardConstantsKey *key,
									StewardSampleKind kind);
extern void steward_constants_keep(const StewardConstantsKey *key,
								   StewardSampleKind kind,
								   const char *bytes, int length);
extern StewardConstants *steward_constants_read(const StewardConstantsKey *key);
extern int64 steward_constants_retain(Oid database,
									  const StewardConstantsKey *sorted,
									  int64 count);
extern int	steward_constants_compare(const void *a, const void *b);
extern void steward_constants_state(StewardConstantsState *state);

/* constants_capture.c */
extern void steward_constants_observe(void);
extern void steward_constants_key(int64 queryid, Oid role,
								  StewardConstantsKey *key);

#endif							/* STEWARD_CONSTANTS_H */
