//! How many rows each table has, and what is in them.

use std::fmt::Write;

use super::random::Random;

/// Warehouses; each has a place for each product.
pub const WAREHOUSES: u64 = 3;

/// Rows of each table, in the order of [`super::schema::TABLES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub customers: u64,
    pub addresses: u64,
    pub categories: u64,
    pub products: u64,
    pub images: u64,
    pub inventory: u64,
    pub vouchers: u64,
    pub orders: u64,
    pub items: u64,
    pub payments: u64,
    pub events: u64,
    pub audit: u64,
}

/// Lines of each order at the beginning.
pub const LINES: u64 = 3;

impl Sizes {
    /// About `rows` in total.
    pub fn of(rows: u64) -> Self {
        let share = |per_mille: u64| (rows * per_mille / 1000).max(10);
        let products = share(20);
        let orders = share(130);
        Self {
            customers: share(80),
            addresses: share(80),
            categories: share(2).min(500),
            products,
            images: share(8).min(products),
            inventory: products * WAREHOUSES,
            vouchers: share(30),
            orders,
            items: orders * LINES,
            payments: share(110),
            events: share(70),
            audit: share(20),
        }
    }

    pub fn of_table(&self, table: &str) -> u64 {
        match table {
            "customers" => self.customers,
            "addresses" => self.addresses,
            "categories" => self.categories,
            "products" | "product_details" => self.products,
            "product_images" => self.images,
            "inventory" => self.inventory,
            "vouchers" => self.vouchers,
            "orders" => self.orders,
            "order_items" => self.items,
            "payments" => self.payments,
            "events" => self.events,
            _ => self.audit,
        }
    }
}

const FIRST: [&str; 12] =
    ["Ada", "Björn", "Chloé", "Dmitri", "Эмма", "藤井", "Grace", "Hüseyin", "Ines", "João", "Kim", "O''Neill"];
const LAST: [&str; 10] = ["Lovelace", "Müller", "García", "李", "Novák", "Smith", "Ørsted", "da Silva", "Šimek", "van \\\\Dam"];
const CITIES: [&str; 8] = ["Berlin", "São Paulo", "Tōkyō", "Kraków", "Nairobi", "Wien", "Québec", "Zürich"];
const WORDS: [&str; 14] = [
    "lamp",
    "table",
    "chair",
    "Straße",
    "café",
    "naïve",
    "blue",
    "green",
    "😀",
    "round",
    "the \\\"best\\\"",
    "50%",
    "under_score",
    "tab\\tbed",
];
const COUNTRIES: [&str; 6] = ["DE", "BR", "JP", "PL", "KE", "AT"];
pub const ACTORS: [&str; 5] = ["clerk", "robot", "import", "owner", "auditor"];
pub const KINDS: [&str; 5] = ["view", "search", "add to cart", "login", "logout"];

/// Some words, without quotes around them.
pub fn words(random: &mut Random, count: u64) -> String {
    let chosen: Vec<&str> = (0..count).map(|_| random.pick(&WORDS)).collect();
    chosen.join(" ")
}

/// An amount with two decimals; seldom a large or a negative one.
pub fn amount(random: &mut Random) -> String {
    let sign = if random.chance(3) { "-" } else { "" };
    let whole = if random.chance(2) { random.below(99_999_999) } else { random.below(500) };
    format!("{sign}{whole}.{:02}", random.below(100))
}

/// A moment of 2020 to 2025 in quotes, with that many decimals.
pub fn moment(random: &mut Random, decimals: usize) -> String {
    let mut text = format!(
        "'{}-{:02}-{:02} {:02}:{:02}:{:02}",
        random.between(2020, 2025),
        random.between(1, 12),
        random.between(1, 28),
        random.below(24),
        random.below(60),
        random.below(60)
    );
    if decimals > 0 {
        let _ = write!(text, ".{:0decimals$}", random.below(10u64.pow(decimals as u32)));
    }
    text + "'"
}

fn or_null(random: &mut Random, percent_null: u64, text: impl FnOnce(&mut Random) -> String) -> String {
    if random.chance(percent_null) { "NULL".into() } else { text(random) }
}

/// The code of a voucher at the beginning; its case and accents count for nothing in the key's order.
pub fn voucher_code(number: u64) -> String {
    let word = ["SUMMER", "Été", "winter", "Größe", "spring"][(number % 5) as usize];
    format!("{word}-{number}")
}

/// The key of a payment; one in eight ends with zeros, which the binary log leaves away.
pub fn payment_id(random: &mut Random) -> String {
    if random.chance(12) { format!("{}00000000", random.hex(12)) } else { random.hex(16) }
}

pub fn attributes(random: &mut Random) -> String {
    format!(
        "{{\"color\": \"{}\", \"size\": {}, \"sold\": {}, \"dimensions\": [{}, {}, null], \"more\": {{\"ü\": true, \"n\": {}}}}}",
        random.pick(&["red", "blue", "grün", "青"]),
        random.below(60),
        if random.chance(50) { "true" } else { "false" },
        random.below(1000),
        -(random.below(100) as i64),
        random.below(1 << 53)
    )
}

/// The values of row `number` (from 1) of a table, without parentheses, and the columns they are for.
pub fn row(table: &str, seed: u64, number: u64, sizes: &Sizes, out: &mut String) {
    let mut random = Random::of(seed, table.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte)), number);
    let r = &mut random;
    let _ = match table {
        "customers" => customer(out, number, r),
        "addresses" => address(out, number, sizes.customers, r),
        "categories" => {
            let parent = if number <= 5 { "NULL".into() } else { r.between(1, number - 1).to_string() };
            write!(out, "{number},{parent},'{}-{number}','{}'", r.pick(&["Möbel", "tools", "garden"]), words(r, 2))
        }
        "products" => product(out, number, sizes, r),
        "product_details" => {
            let tags = or_null(r, 30, |r| format!("'[\"{}\", {}]'", r.pick(&CITIES), r.below(9)));
            write!(out, "{number},'{}',{tags}", attributes(r))
        }
        "product_images" => {
            let bytes = r.between(500, 6000) as usize;
            write!(out, "{number},1,'image/png',X'{}',X'{}0000'", r.hex(bytes), r.hex(6))
        }
        "inventory" => {
            let (product, warehouse) = ((number - 1) / WAREHOUSES + 1, (number - 1) % WAREHOUSES + 1);
            let bin = or_null(r, 5, |_| format!("'B{product:06}'"));
            let counted = or_null(r, 20, |r| moment(r, 3));
            write!(out, "{number},{product},{warehouse},{bin},{},{counted}", r.below(1000))
        }
        "vouchers" => {
            let until = or_null(r, 30, |r| moment(r, 0));
            write!(out, "'{}',{}.{},{until},{}", voucher_code(number), r.below(100), r.below(10), r.below(50))
        }
        "orders" => order(out, number, r.between(1, sizes.customers), r),
        "order_items" => {
            let (order, line) = ((number - 1) / LINES + 1, (number - 1) % LINES + 1);
            item(out, order, line, r.between(1, sizes.products), r)
        }
        "payments" => {
            let order = r.between(1, sizes.orders);
            payment(out, order, Some(number), r)
        }
        "events" => event(out, r.between(1, sizes.customers), r),
        _ => audit(out, r),
    };
}

type Written = std::fmt::Result;

pub fn customer(out: &mut String, number: u64, r: &mut Random) -> Written {
    let email = or_null(r, 4, |r| format!("'{}.{number}@example.com'", r.pick(&["ada", "bjoern", "chloe", "Dmitri"])));
    let phone = or_null(r, 30, |r| format!("'+{} ext. é{}'", r.below(999_999_999), r.below(9)));
    let born = or_null(r, 30, |r| format!("'19{:02}-{:02}-{:02}'", r.between(40, 99), r.between(1, 12), r.between(1, 28)));
    let (first, last) = (r.pick(&FIRST), r.pick(&LAST));
    let status = r.pick(&["new", "active", "blocked", "gone"]);
    let marks = r.pick(&["", "vip", "newsletter,vip", "b2b,tax free", "newsletter,vip,b2b,tax free"]);
    let (balance, created, updated) = (amount(r), moment(r, 0), moment(r, 6));
    write!(out, "{number},{email},'{first} {last}',{phone},'{status}','{marks}',{balance},{born},{created},{updated}")
}

pub fn address(out: &mut String, number: u64, customers: u64, r: &mut Random) -> Written {
    let place = r.chance(60).then(|| format!("{},{}", r.fraction() * 180.0 - 90.0, r.fraction() * 360.0 - 180.0));
    let postcode = or_null(r, 20, |r| format!("'{:05}'", r.below(99_999)));
    write!(
        out,
        "{number},{},'{}','{} {}','{}','{}',{postcode},{}",
        r.between(1, customers),
        r.pick(&["home", "work", "billing"]),
        r.pick(&LAST),
        r.below(300),
        r.pick(&CITIES),
        r.pick(&COUNTRIES),
        place.unwrap_or_else(|| "NULL,NULL".into())
    )
}

fn product(out: &mut String, number: u64, sizes: &Sizes, r: &mut Random) -> Written {
    let weight = or_null(r, 20, |r| format!("{}", (r.fraction() * 50.0) as f32));
    let introduced = or_null(r, 20, |r| r.between(1990, 2025).to_string());
    let price = format!("{}.{:02}", r.below(2000), r.below(100));
    write!(
        out,
        "{number},{},'SKU-{number:07}','{}',{price},{},{weight},b'{}',{introduced}",
        r.between(1, sizes.categories),
        words(r, 3),
        [0, 7, 19][r.below(3) as usize],
        r.below(2)
    )
}

pub fn order(out: &mut String, number: u64, customer: u64, r: &mut Random) -> Written {
    let shipped = or_null(r, 40, |r| moment(r, 0));
    let took = or_null(r, 40, |r| {
        format!(
            "'{}{:02}:{:02}:{:02}.{:02}'",
            if r.chance(10) { "-" } else { "" },
            r.below(400),
            r.below(60),
            r.below(60),
            r.below(100)
        )
    });
    let note = or_null(r, 60, |r| {
        let count = r.between(1, 12);
        format!("'{}'", words(r, count))
    });
    let state = r.pick(&["draft", "placed", "paid", "shipped", "returned"]);
    let currency = r.pick(&["EUR", "BRL", "JPY"]);
    let number = if number == 0 { "NULL".into() } else { number.to_string() };
    write!(out, "{number},{customer},'{state}','{currency}',{},{},{shipped},{took},{note}", amount(r), moment(r, 6))
}

pub fn item(out: &mut String, order: u64, line: u64, product: u64, r: &mut Random) -> Written {
    write!(out, "{order},{line},{product},{},{}.{:02}", r.between(1, 20), r.below(2000), r.below(100))
}

/// `number` makes the reference unique; without one there is none.
pub fn payment(out: &mut String, order: u64, number: Option<u64>, r: &mut Random) -> Written {
    let reference = number.filter(|_| !r.chance(20)).map_or("NULL".into(), |number| format!("'REF{number:010}'"));
    let method = r.pick(&["card", "transfer", "cash", "voucher"]);
    let (id, paid) = (payment_id(r), moment(r, 6));
    write!(out, "X'{id}',{order},{}{:02},'{method}',{},{paid},{reference}", amount(r), r.below(100), r.fraction() * 3.0)
}

pub fn event(out: &mut String, customer: u64, r: &mut Random) -> Written {
    let customer = or_null(r, 10, |_| customer.to_string());
    let value = or_null(r, 30, |r| format!("{}", r.fraction() * 1e6 - 1e3));
    let payload = or_null(r, 50, |r| format!("'{{\"path\": \"/{}\", \"ms\": {}}}'", r.pick(&["a", "b", "cart"]), r.below(9000)));
    write!(out, "{},{customer},'{}',{value},{payload}", moment(r, 6), r.pick(&KINDS))
}

pub fn audit(out: &mut String, r: &mut Random) -> Written {
    let amount = or_null(r, 40, |r| format!("{}", (r.fraction() * 1000.0) as f32));
    let details = or_null(r, 30, |r| format!("'{}'", words(r, 5)));
    write!(out, "{},'{}','{}',{amount},{details}", moment(r, 3), r.pick(&ACTORS), r.pick(&["login", "export", "refund"]))
}

/// The columns that [`row`] gives values for.
pub fn columns(table: &str) -> &'static str {
    match table {
        "products" => "(id,category_id,sku,title,price,tax_percent,weight,available,introduced)",
        "order_items" => "(order_id,line,product_id,quantity,price)",
        _ => "",
    }
}
