"""Is this image allowed?"""
