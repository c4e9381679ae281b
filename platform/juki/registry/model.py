"""住民・世帯・異動: every pure type and rule of the register under one name, for whoever reads it from outside."""
