"""asyncio: gather, judge, one image and many."""
