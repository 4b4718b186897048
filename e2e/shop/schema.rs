//! The tables, as each flavour takes them.

/// What the definitions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    MySql57,
    /// 8.0 and later.
    MySql8,
    MariaDb,
}

impl Flavour {
    /// From `SELECT VERSION()`.
    pub fn of(version: &str) -> Self {
        match () {
            () if version.contains("MariaDB") => Self::MariaDb,
            () if version.starts_with("5.") => Self::MySql57,
            () => Self::MySql8,
        }
    }
}

/// Tables in the order in which rows can be inserted, with their definitions.
pub const TABLES: [(&str, &str); 13] = [
    (
        "customers",
        "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(190) NULL, name VARCHAR(100) NOT NULL, \
         phone VARCHAR(30) CHARACTER SET latin1 NULL, status ENUM('new','active','blocked','gone') NOT NULL DEFAULT 'new', \
         marks SET('newsletter','vip','b2b','tax free') NOT NULL DEFAULT '', balance DECIMAL(12,2) NOT NULL DEFAULT 0, born DATE NULL, \
         created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), \
         UNIQUE KEY email (email), KEY by_status (status, created_at)",
    ),
    (
        "addresses",
        "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id BIGINT UNSIGNED NOT NULL, \
         kind ENUM('home','work','billing') NOT NULL, street VARCHAR(120) NOT NULL, city VARCHAR(80) NOT NULL, \
         country CHAR(2) CHARACTER SET ascii NOT NULL, postcode VARCHAR(12) NULL, latitude DOUBLE NULL, longitude DOUBLE NULL, \
         KEY customer (customer_id), CONSTRAINT address_customer FOREIGN KEY (customer_id) REFERENCES customers (id)",
    ),
    (
        "categories",
        "id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, parent_id INT UNSIGNED NULL, slug VARCHAR(80) NOT NULL, \
         title VARCHAR(120) NOT NULL, UNIQUE KEY slug (slug), \
         CONSTRAINT category_parent FOREIGN KEY (parent_id) REFERENCES categories (id)",
    ),
    (
        "products",
        "id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, category_id INT UNSIGNED NOT NULL, \
         sku VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, title VARCHAR(160) NOT NULL COMMENT 'it''s shown', \
         price DECIMAL(10,2) NOT NULL, tax_percent TINYINT UNSIGNED NOT NULL DEFAULT 19, \
         gross DECIMAL(14,4) GENERATED ALWAYS AS (price * (100 + tax_percent) / 100) STORED, \
         label VARCHAR(200) GENERATED ALWAYS AS (CONCAT(sku, ': ', title)) VIRTUAL, weight FLOAT NULL, \
         available BIT(1) NOT NULL DEFAULT b'1', introduced YEAR NULL, UNIQUE KEY sku (sku), KEY by_gross (gross), \
         CONSTRAINT product_category FOREIGN KEY (category_id) REFERENCES categories (id)",
    ),
    (
        "product_details",
        "product_id INT UNSIGNED NOT NULL PRIMARY KEY, attributes JSON NOT NULL, tags JSON NULL, \
         CONSTRAINT details_product FOREIGN KEY (product_id) REFERENCES products (id)",
    ),
    (
        "product_images",
        "product_id INT UNSIGNED NOT NULL, position TINYINT UNSIGNED NOT NULL, mime VARCHAR(40) NOT NULL, content MEDIUMBLOB NOT NULL, \
         checksum BINARY(8) NOT NULL, PRIMARY KEY (product_id, position), \
         CONSTRAINT image_product FOREIGN KEY (product_id) REFERENCES products (id)",
    ),
    (
        "inventory",
        "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, product_id INT UNSIGNED NOT NULL, warehouse SMALLINT UNSIGNED NOT NULL, \
         bin VARCHAR(20) NULL, quantity INT NOT NULL, counted_at TIMESTAMP(3) NULL, UNIQUE KEY place (warehouse, bin), \
         UNIQUE KEY stock (product_id, warehouse), CONSTRAINT inventory_product FOREIGN KEY (product_id) REFERENCES products (id)",
    ),
    (
        "vouchers",
        "code VARCHAR(40) NOT NULL PRIMARY KEY, percent DECIMAL(4,1) NOT NULL, valid_until DATETIME NULL, uses INT UNSIGNED NOT NULL DEFAULT 0",
    ),
    (
        "orders",
        "id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id BIGINT UNSIGNED NOT NULL, \
         state ENUM('draft','placed','paid','shipped','returned') NOT NULL, currency CHAR(3) CHARACTER SET ascii NOT NULL DEFAULT 'EUR', \
         total DECIMAL(14,2) NOT NULL, placed_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), shipped_at DATETIME NULL, \
         took TIME(2) NULL, note TEXT NULL, KEY customer (customer_id, placed_at), KEY note (note(20)), \
         CONSTRAINT order_customer FOREIGN KEY (customer_id) REFERENCES customers (id)",
    ),
    (
        "order_items",
        "order_id BIGINT UNSIGNED NOT NULL, line SMALLINT UNSIGNED NOT NULL, product_id INT UNSIGNED NOT NULL, quantity SMALLINT NOT NULL, \
         price DECIMAL(10,2) NOT NULL, amount DECIMAL(16,2) GENERATED ALWAYS AS (price * quantity) STORED, PRIMARY KEY (order_id, line), \
         KEY product (product_id), CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id), \
         CONSTRAINT item_product FOREIGN KEY (product_id) REFERENCES products (id)",
    ),
    (
        "payments",
        "id BINARY(16) NOT NULL PRIMARY KEY, order_id BIGINT UNSIGNED NOT NULL, amount DECIMAL(20,4) NOT NULL, \
         method ENUM('card','transfer','cash','voucher') NOT NULL, rate DOUBLE NOT NULL DEFAULT 1, paid_at DATETIME(6) NOT NULL, \
         reference VARCHAR(40) NULL, UNIQUE KEY reference (reference), KEY by_order (order_id), \
         CONSTRAINT payment_order FOREIGN KEY (order_id) REFERENCES orders (id)",
    ),
    (
        "events",
        "at DATETIME(6) NOT NULL, customer_id BIGINT UNSIGNED NULL, kind VARCHAR(30) NOT NULL, value DOUBLE NULL, payload JSON NULL, \
         KEY customer (customer_id)",
    ),
    (
        "audit_log",
        "at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), actor VARCHAR(60) NOT NULL, action VARCHAR(40) NOT NULL, amount FLOAT NULL, \
         details TEXT NULL",
    ),
];

/// Views over them.
pub const VIEWS: [(&str, &str); 2] = [
    (
        "order_totals",
        "SELECT o.id AS id, o.customer_id AS customer_id, COUNT(i.line) AS lines_count, SUM(i.amount) AS amount \
         FROM orders o LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id, o.customer_id",
    ),
    ("stock", "SELECT product_id, SUM(quantity) AS quantity FROM inventory GROUP BY product_id"),
];

/// The collation of text: case and accents do not distinguish keys.
fn collation(flavour: Flavour) -> &'static str {
    match flavour {
        // Without trailing spaces' indifference, unlike the others'.
        Flavour::MySql8 => "utf8mb4_0900_ai_ci",
        Flavour::MySql57 => "utf8mb4_unicode_520_ci",
        Flavour::MariaDb => "utf8mb4_uca1400_ai_ci",
    }
}

/// Statements that make the database, its tables and its views. `portable`: only what every flavour has.
pub fn statements(flavour: Flavour, portable: bool) -> Vec<String> {
    let database = super::DATABASE;
    let collation = if portable { "utf8mb4_unicode_ci" } else { collation(flavour) };
    let mut statements =
        vec![format!("CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE {collation}"), format!("USE {database}")];
    statements.extend(TABLES.iter().map(|(name, columns)| format!("CREATE TABLE {name} ({columns}) ENGINE=InnoDB")));
    statements.extend(VIEWS.iter().map(|(name, select)| format!("CREATE VIEW {name} AS {select}")));
    statements
}
