/*-------------------------------------------------------------------------
 *
 * swap.h
 *	  Refreshing a materialized view by exchanging its files.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_SWAP_H
#define STEWARD_SWAP_H

extern int64 steward_swap_refresh(Oid view, char **note);

#endif							/* STEWARD_SWAP_H */
