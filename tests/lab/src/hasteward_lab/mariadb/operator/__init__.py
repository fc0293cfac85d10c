"""What mariadb-operator does: phases, the health monitor, and the recovery of a Galera cluster."""
