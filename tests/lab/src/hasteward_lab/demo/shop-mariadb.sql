-- A small shop: two tables, a view, a trigger.
CREATE DATABASE shop;
USE shop;
CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL);
CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY,
  customer INT NOT NULL REFERENCES customers (id),
  total DECIMAL(10, 2) NOT NULL,
  state ENUM('new', 'paid', 'shipped') NOT NULL DEFAULT 'new'
);
INSERT INTO customers (name) SELECT CONCAT('customer ', seq) FROM seq_1_to_2000;
INSERT INTO orders (customer, total, state)
  SELECT 1 + seq % 2000, (seq % 9973) / 100, ELT(1 + seq % 3, 'new', 'paid', 'shipped') FROM seq_1_to_20000;
CREATE VIEW paid AS SELECT * FROM orders WHERE state = 'paid';
CREATE TRIGGER polite BEFORE INSERT ON customers FOR EACH ROW SET NEW.name = TRIM(NEW.name);
