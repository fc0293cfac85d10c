"""A Galera cluster of real MariaDB servers, and mariadb-operator as far as it matters to others."""
