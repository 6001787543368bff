"""Measurements that judge the controller. They are written apart from the code they judge."""
