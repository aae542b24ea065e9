"""`capseal demo`: the main job, acted out."""
