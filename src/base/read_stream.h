/*-------------------------------------------------------------------------
 *
 * read_stream.h
 *	  The server's read stream, for servers before 17.
 *
 * Copyright (c) 2026, the pg_steward authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STEWARD_READ_STREAM_H
#define STEWARD_READ_STREAM_H

#include "storage/bufmgr.h"
#include "utils/relcache.h"

typedef struct StewardReadStream StewardReadStream;

/* Gives the next block to read, or InvalidBlockNumber at the end. */
typedef BlockNumber (*StewardReadStreamCallback) (StewardReadStream *stream,
												  void *private_data,
												  void *per_buffer_data);

extern StewardReadStream *steward_read_stream_begin(int flags,
													BufferAccessStrategy strategy,
													Relation rel,
													ForkNumber fork,
													StewardReadStreamCallback callback,
													void *private_data,
													size_t per_buffer_data_size);
extern Buffer steward_read_stream_next(StewardReadStream *stream,
									   void **per_buffer_data);
extern void steward_read_stream_end(StewardReadStream *stream);

#endif							/* STEWARD_READ_STREAM_H */
