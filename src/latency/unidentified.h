/*-------------------------------------------------------------------------
 *
 * unidentified.h
 *	  Query ids of statements that failed before they had one.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_UNIDENTIFIED_H
#define STEWARD_UNIDENTIFIED_H

extern void steward_unidentified_init(void);
extern void steward_unidentified_learn(const char *message, int location,
									   int length, int64 queryid);
extern int64 steward_unidentified_guess(int location);
extern bool steward_unidentified_more(int location);

#endif							/* STEWARD_UNIDENTIFIED_H */
