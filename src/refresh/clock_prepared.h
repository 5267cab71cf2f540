/*-------------------------------------------------------------------------
 *
 * clock_prepared.h
 *	  Prepared transactions that the change clock has to notice.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CLOCK_PREPARED_H
#define STEWARD_CLOCK_PREPARED_H

#include "refresh/change_clock.h"

#define STEWARD_PREPARED_CHANGES 16 /* of one transaction, by name */

/* What a prepared transaction changes. */
typedef struct StewardPrepared
{
	bool		everything;		/* it may have changed all relations */
	bool		definitions;	/* some changes are of definitions */
	int			nchanges;
	struct
	{
		uint32		hash;
		StewardChange change;
	}			changes[STEWARD_PREPARED_CHANGES];
} StewardPrepared;

extern void steward_prepared_register(void);
extern void steward_prepared_add(StewardPrepared *what, Oid relation,
								 StewardChange change);
extern int	steward_prepared_list(const StewardPrepared *what);
extern void steward_prepared_unlist(int place);

#endif							/* STEWARD_CLOCK_PREPARED_H */
