"""住基: the resident register of Japanese municipalities."""
