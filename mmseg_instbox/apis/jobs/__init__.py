"""Resumable predictions of many images, in this process or on Ray, here or in an object store."""
