/*-------------------------------------------------------------------------
 *
 * refusals.h
 *	  Counts clients that are refused, and those that come in.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_REFUSALS_H
#define STEWARD_REFUSALS_H

extern void steward_refusals_init(void);

#endif							/* STEWARD_REFUSALS_H */
