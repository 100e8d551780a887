"""Two threads that walk, shrinkers that come and go beside walks, and their memory."""
