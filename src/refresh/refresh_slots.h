/*-------------------------------------------------------------------------
 *
 * refresh_slots.h
 *	  Starting refresh workers, and knowing what they do.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFRESH_SLOTS_H
#define STEWARD_REFRESH_SLOTS_H

#include "refresh/refresh_shared.h"

/* What a worker is told by whoever starts it. */
typedef struct StewardSlotOrder
{
	int			slot;
	uint32		generation;
} StewardSlotOrder;

/* in the launcher */
extern int	steward_slots_used(StewardRegistry *registry);
extern StewardRefreshSlot *steward_slot_of(StewardRegistry *registry,
										   Oid database);
extern bool steward_slot_start(StewardRegistry *registry, Oid database);
extern void steward_slots_reap(StewardRegistry *registry);

/* in the worker */
extern StewardRefreshSlot *steward_slot_claim(StewardRegistry *registry,
											  const StewardSlotOrder *order);
extern StewardRefreshSlot *steward_slot_mine(void);

#endif							/* STEWARD_REFRESH_SLOTS_H */
