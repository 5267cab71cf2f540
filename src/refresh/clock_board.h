/*-------------------------------------------------------------------------
 *
 * clock_board.h
 *	  The clock and the board of changes, for who writes on it.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_CLOCK_BOARD_H
#define STEWARD_CLOCK_BOARD_H

#include "refresh/change_clock.h"

extern void steward_board_register(void);
extern uint64 steward_board_now(void);
extern void steward_board_move(uint32 hash, StewardChange change, uint64 time);
extern void steward_board_move_database(Oid database, StewardChange change,
										uint64 time);
extern void steward_board_announce(const uint64 *bits);
extern void steward_board_withdraw(void);

#endif							/* STEWARD_CLOCK_BOARD_H */
