/*-------------------------------------------------------------------------
 *
 * change_clock.h
 *	  Which relations have changed since a moment.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CHANGE_CLOCK_H
#define STEWARD_CHANGE_CLOCK_H

#include "access/xact.h"

/* Two kinds of change of a relation: of its rows, and of what it is. */
typedef enum StewardChange
{
	STEWARD_CHANGE_DATA,
	STEWARD_CHANGE_DEFINITION
} StewardChange;

#define STEWARD_CHANGES 2

/* Bit by which a relation is represented where few bits have to do. */
#define STEWARD_CLOCK_BIT(hash) (UINT64CONST(1) << ((hash) >> 26))

/*
 * Called at the end of each top transaction: with true when it has committed
 * and its changes are published, with false when it was aborted or prepared.
 * When it has committed, errors, allocations and waiting are forbidden.
 */
typedef void (*StewardClockEnd) (bool committed);

extern void steward_clock_init(StewardClockEnd end);
extern bool steward_clock_runs(void);
extern uint32 steward_clock_hash(Oid database, Oid relation);
extern void steward_clock_watch(uint32 hash);
extern uint64 steward_clock_tick(void);
extern void steward_clock_adopt_prepared(void);
extern void steward_clock_settle(void);
extern bool steward_clock_committing(Oid database, StewardChange change,
									 uint64 bits);
extern bool steward_clock_moved(uint32 hash, StewardChange change,
								uint64 since);
extern bool steward_clock_database_moved(Oid database, StewardChange change,
										 uint64 since);

#endif							/* STEWARD_CHANGE_CLOCK_H */
