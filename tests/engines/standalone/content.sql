SET NAMES utf8mb4;
CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE shop;
CREATE TABLE customer (
  id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, note TEXT, picture BLOB, UNIQUE KEY (name)
);
CREATE TABLE `or``der` (
  id INT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, amount DECIMAL(12, 2), at TIMESTAMP(6) NULL,
  doubled DECIMAL(12, 2) AS (amount * 2) STORED, kind ENUM('a', 'b''c') DEFAULT 'a', doc JSON,
  CONSTRAINT belongs FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE, KEY (at)
);
CREATE TABLE history (at INT NOT NULL, what VARCHAR(200))
  PARTITION BY RANGE (at) (PARTITION early VALUES LESS THAN (10), PARTITION late VALUES LESS THAN MAXVALUE);
CREATE TABLE empty_one (id INT);
CREATE SEQUENCE numbers START WITH 100;
INSERT INTO customer (name, note, picture) VALUES
  ('Ünï ''q'' "d" \\ 🐘', 'line\nbreak\ttab\0nul', X'00FF0A0D1A27225C'), ('plain', NULL, NULL), ('NULL', '', '');
INSERT INTO `or``der` (customer, amount, at, kind, doc)
  SELECT 1 + seq % 3, seq / 7, '2026-01-01 00:00:00' + INTERVAL seq SECOND, IF(seq % 2, 'a', 'b''c'),
    JSON_OBJECT('n', seq) FROM seq_1_to_2000;
SELECT NEXTVAL(numbers) INTO @ignored;
DELIMITER //
CREATE FUNCTION priced(x DECIMAL(12, 2)) RETURNS DECIMAL(12, 2) DETERMINISTIC RETURN x * 1.19//
CREATE PROCEDURE tidy(IN days INT) BEGIN DELETE FROM history WHERE at < days; END//
CREATE TRIGGER noted AFTER INSERT ON `or``der` FOR EACH ROW
  INSERT INTO history VALUES (NEW.id, CONCAT('order; of ', NEW.customer))//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO CALL tidy(5)//
DELIMITER ;
CREATE VIEW a_second AS SELECT 1 AS x;
CREATE VIEW a_first AS SELECT priced(o.amount) AS gross, c.name FROM `or``der` o JOIN customer c ON c.id = o.customer;
CREATE OR REPLACE VIEW a_second AS SELECT name, SUM(gross) AS total FROM a_first GROUP BY name;
INSERT INTO `or``der` (customer, amount) VALUES (2, 9.99);
CREATE DATABASE `we-ird ``x` CHARACTER SET latin1;
USE `we-ird ``x`;
CREATE TABLE t (n INT PRIMARY KEY, s VARCHAR(20));
INSERT INTO t VALUES (1, 'ä'), (2, 'b');
CREATE ROLE reader;
GRANT SELECT ON shop.* TO reader;
CREATE USER 'clerk'@'%' IDENTIFIED BY 'not-a-secret';
GRANT SELECT, INSERT ON shop.* TO 'clerk'@'%';
GRANT EXECUTE ON PROCEDURE shop.tidy TO 'clerk'@'%';
GRANT SELECT (n) ON `we-ird ``x`.t TO 'clerk'@'%';
GRANT reader TO 'clerk'@'%';
