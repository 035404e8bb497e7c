/*
 * overlay.h: the dataset backend that needs nothing but directories: layers for overlayfs.
 *
 * The on-disk format is docs/formats/overlay-datasets.md. Inside this folder: meta (one dataset's
 * description), tree (removing, copying, counting trees), store (where things lie, layers and who
 * refers to them), set (one dataset, opened), common (what btrfs does alike), overlay (the rest).
 */
#ifndef PLATFORM_OVERLAY_OVERLAY_H
#define PLATFORM_OVERLAY_OVERLAY_H

#include "platform/dataset.h"

extern const struct dataset_ops dataset_overlay;

#endif
