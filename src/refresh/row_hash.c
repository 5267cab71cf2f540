/*-------------------------------------------------------------------------
 *
 * row_hash.c
 *	  Hashes that stand for whole rows.
 *
 * A differential refresh compares the rows that a view has with those that it
 * should have.  To do so in little memory and without reading stored rows a
 * second time, it takes two rows for the same if their hashes are the same.
 * That is as good as comparing bytes: the hash is SipHash-2-4 with 128 bits of
 * output (Aumasson, Bernstein: SipHash, a fast short-input PRF, 2012), a
 * pseudorandom function, keyed with a secret that is drawn for each refresh
 * and never leaves it.  Among a billion rows two different ones get the same
 * hash with a probability of 10^-21, and nobody can choose rows that do.
 *
 * "The same" is meant like record_image_eq() means it: the images of all
 * columns are equal, after decompressing and fetching toasted values.  Types
 * need no equality operator, and 1.0 is not 1.00.
 *
 * A row is hashed as a sequence of 64-bit words from which it could be
 * rebuilt: a bitmap of nulls, then for each column that is not null its value
 * in one word if it is passed by value, else its bytes, padded with zeroes,
 * after their number where the type does not fix it.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "refresh/row_hash.h"

typedef struct SipState
{
	uint64		v0;
	uint64		v1;
	uint64		v2;
	uint64		v3;
	uint64		nwords;
} SipState;

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

#define SIP_ROUND(s) \
	do { \
		(s)->v0 += (s)->v1; \
		(s)->v1 = ROTATE((s)->v1, 13) ^ (s)->v0; \
		(s)->v0 = ROTATE((s)->v0, 32); \
		(s)->v2 += (s)->v3; \
		(s)->v3 = ROTATE((s)->v3, 16) ^ (s)->v2; \
		(s)->v0 += (s)->v3; \
		(s)->v3 = ROTATE((s)->v3, 21) ^ (s)->v0; \
		(s)->v2 += (s)->v1; \
		(s)->v1 = ROTATE((s)->v1, 17) ^ (s)->v2; \
		(s)->v2 = ROTATE((s)->v2, 32); \
	} while (0)

/* Start with the key; 0xee asks for the variant with 128 bits. */
static void
sip_begin(SipState *sip, const uint64 key[2])
{
	sip->v0 = key[0] ^ UINT64CONST(0x736f6d6570736575);
	sip->v1 = key[1] ^ UINT64CONST(0x646f72616e646f6d) ^ 0xee;
	sip->v2 = key[0] ^ UINT64CONST(0x6c7967656e657261);
	sip->v3 = key[1] ^ UINT64CONST(0x7465646279746573);
	sip->nwords = 0;
}

/* Take in one word. */
static inline void
sip_word(SipState *sip, uint64 word)
{
	sip->v3 ^= word;
	SIP_ROUND(sip);
	SIP_ROUND(sip);
	sip->v0 ^= word;
	sip->nwords++;
}

/* Take in bytes, padded with zeroes to whole words. */
static inline void
sip_bytes(SipState *sip, const char *bytes, Size len)
{
	uint64		word;

	for (; len >= sizeof(word); len -= sizeof(word), bytes += sizeof(word))
	{
		memcpy(&word, bytes, sizeof(word));
		sip_word(sip, word);
	}
	if (len > 0)
	{
		word = 0;
		memcpy(&word, bytes, len);
		sip_word(sip, word);
	}
}

/* Four rounds more, and half of the result. */
static uint64
sip_half(SipState *sip)
{
	SIP_ROUND(sip);
	SIP_ROUND(sip);
	SIP_ROUND(sip);
	SIP_ROUND(sip);
	return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

/* The last word, as the paper has it, holds the length; then the result. */
static void
sip_end(SipState *sip, StewardRowHash *hash)
{
	sip_word(sip, (sip->nwords * sizeof(uint64)) << 56);
	sip->v2 ^= 0xee;
	hash->high = sip_half(sip);
	sip->v1 ^= 0xdd;
	hash->low = sip_half(sip);
}

/*
 * Prepare for hashing with a new key.  The hasher lives as long as the
 * current memory context.
 */
void
steward_row_hasher_init(StewardRowHasher *hasher)
{
	if (!pg_strong_random(hasher->key, sizeof(hasher->key)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	hasher->scratch = AllocSetContextCreate(CurrentMemoryContext,
											"pg_steward row hash",
											ALLOCSET_DEFAULT_SIZES);
}

/*
 * Hash a value of variable length.  One that is compressed or stored
 * elsewhere is fetched whole and dropped at once.
 */
static void
hash_varlena(StewardRowHasher *hasher, SipState *sip, Datum value)
{
	struct varlena *image = (struct varlena *) DatumGetPointer(value);
	bool		fetch = VARATT_IS_EXTERNAL(image) ||
		VARATT_IS_COMPRESSED(image);

	if (fetch)
	{
		MemoryContext old = MemoryContextSwitchTo(hasher->scratch);

		image = pg_detoast_datum_packed(image);
		MemoryContextSwitchTo(old);
	}
	sip_word(sip, VARSIZE_ANY_EXHDR(image));
	sip_bytes(sip, VARDATA_ANY(image), VARSIZE_ANY_EXHDR(image));
	if (fetch)
		MemoryContextReset(hasher->scratch);
}

/* A value that is passed by value, without the bits that do not count. */
static uint64
word_by_value(Datum value, int16 len)
{
	switch (len)
	{
		case sizeof(char):
			return (uint8) DatumGetChar(value);
		case sizeof(int16):
			return (uint16) DatumGetInt16(value);
		case sizeof(int32):
			return (uint32) DatumGetInt32(value);
		default:
			return (uint64) value;
	}
}

/* Hash a value that is not null. */
static inline void
hash_value(StewardRowHasher *hasher, SipState *sip, Form_pg_attribute att,
		   Datum value)
{
	if (att->attbyval)
		sip_word(sip, word_by_value(value, att->attlen));
	else if (att->attlen > 0)
		sip_bytes(sip, DatumGetPointer(value), att->attlen);
	else if (att->attlen == -1)
		hash_varlena(hasher, sip, value);
	else
	{
		const char *string = DatumGetCString(value);

		sip_word(sip, strlen(string));
		sip_bytes(sip, string, strlen(string));
	}
}

/*
 * Hash a row, or only those of its columns whose numbers are in the set,
 * which is the same for all rows that are compared; NULL stands for all.
 */
void
steward_row_hash(StewardRowHasher *hasher, TupleTableSlot *slot,
				 const Bitmapset *columns, StewardRowHash *hash)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	SipState	sip;
	uint64		nulls = 0;

	slot_getallattrs(slot);
	sip_begin(&sip, hasher->key);

	for (int i = 0; i < desc->natts; i++)
	{
		if (slot->tts_isnull[i])
			nulls |= UINT64CONST(1) << (i % 64);
		if (i % 64 == 63 || i == desc->natts - 1)
		{
			/* only of those that take part */
			for (int bit = 0; columns != NULL && bit <= i % 64; bit++)
				if (!bms_is_member(i - i % 64 + bit + 1, columns))
					nulls &= ~(UINT64CONST(1) << bit);
			sip_word(&sip, nulls);
			nulls = 0;
		}
	}
	for (int i = 0; i < desc->natts; i++)
	{
		if (!slot->tts_isnull[i] &&
			(columns == NULL || bms_is_member(i + 1, columns)))
			hash_value(hasher, &sip, TupleDescAttr(desc, i),
					   slot->tts_values[i]);
	}
	sip_end(&sip, hash);
}
