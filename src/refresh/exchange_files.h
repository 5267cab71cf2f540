/*-------------------------------------------------------------------------
 *
 * exchange_files.h
 *	  Exchanging the files of two relations.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_EXCHANGE_FILES_H
#define STEWARD_EXCHANGE_FILES_H

extern void steward_exchange_files(Oid first, Oid second, int64 nrows);

#endif							/* STEWARD_EXCHANGE_FILES_H */
