-- A small shop. Numbers are given, because members of a cluster count in steps of their own.
CREATE DATABASE shop;
USE shop;
CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL);
CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY,
  customer INT NOT NULL REFERENCES customers (id),
  total DECIMAL(10, 2) NOT NULL
);
INSERT INTO customers SELECT seq, CONCAT('customer ', seq) FROM seq_1_to_2000;
INSERT INTO orders SELECT seq, 1 + seq % 2000, (seq % 9973) / 100 FROM seq_1_to_20000;
CREATE VIEW dear AS SELECT * FROM orders WHERE total > 90;
CREATE TRIGGER polite BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = TRIM(NEW.name);
