//! What the live load does, one transaction each.

use std::sync::atomic::Ordering;

use mysql_async::Error;

use super::random::Random;
use super::rows::{self, ACTORS, KINDS, WAREHOUSES};
use super::session::Session;

/// How the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Commit,
    RollBack,
}

type Ended = Result<End, Error>;

/// One kind of transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    PlaceOrder,
    CancelOrder,
    ChangeMind,
    ShiftLines,
    ChangeCustomer,
    NewCustomer,
    MoveAddress,
    EditProduct,
    Pictures,
    SwapBins,
    HandOnEmail,
    RestockBin,
    SwapSlugs,
    Vouchers,
    LogEvents,
    EditEvents,
    ForgetEvents,
    Audit,
    Savepoints,
    Bulk,
}

/// How often each comes, in a thousand.
const WEIGHTS: [(Action, u64); 20] = [
    (Action::PlaceOrder, 200),
    (Action::CancelOrder, 50),
    (Action::ChangeMind, 40),
    (Action::ShiftLines, 50),
    (Action::ChangeCustomer, 138),
    (Action::NewCustomer, 30),
    (Action::MoveAddress, 60),
    (Action::EditProduct, 60),
    (Action::Pictures, 20),
    (Action::SwapBins, 80),
    (Action::HandOnEmail, 50),
    (Action::RestockBin, 30),
    (Action::SwapSlugs, 10),
    (Action::Vouchers, 60),
    (Action::LogEvents, 50),
    (Action::EditEvents, 10),
    (Action::ForgetEvents, 10),
    (Action::Audit, 10),
    (Action::Savepoints, 40),
    (Action::Bulk, 2),
];

/// Rows of a large transaction.
const BULK_ROWS: u64 = 5000;

impl Action {
    pub fn choose(random: &mut Random) -> Self {
        let mut number = random.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (action, weight) in WEIGHTS {
            if number < weight {
                return action;
            }
            number -= weight;
        }
        Self::PlaceOrder
    }

    pub async fn run(self, s: &mut Session<'_>) -> Ended {
        match self {
            Self::PlaceOrder => place_order(s).await,
            Self::CancelOrder => cancel_order(s).await,
            Self::ChangeMind => place_order(s).await.map(|_| End::RollBack),
            Self::ShiftLines => shift_lines(s).await,
            Self::ChangeCustomer => change_customer(s).await,
            Self::NewCustomer => new_customer(s).await,
            Self::MoveAddress => move_address(s).await,
            Self::EditProduct => edit_product(s).await,
            Self::Pictures => pictures(s).await,
            Self::SwapBins => swap_bins(s).await,
            Self::HandOnEmail => hand_on_email(s).await,
            Self::RestockBin => restock_bin(s).await,
            Self::SwapSlugs => swap_slugs(s).await,
            Self::Vouchers => vouchers(s).await,
            Self::LogEvents => log_events(s).await,
            Self::EditEvents => edit_events(s).await,
            Self::ForgetEvents => forget_events(s).await,
            Self::Audit => audit(s).await,
            Self::Savepoints => savepoints(s).await,
            Self::Bulk => bulk(s).await,
        }
    }
}

/// Six tables in one transaction.
async fn place_order(s: &mut Session<'_>) -> Ended {
    let mut values = String::new();
    let customer = s.customer();
    let _ = rows::order(&mut values, 0, customer, &mut s.random);
    let order = s.insert(&format!("INSERT INTO orders VALUES ({values})")).await?;
    s.shop.orders.fetch_max(order, Ordering::Relaxed);
    let mut items = Vec::new();
    for line in 1..=s.random.between(1, 4) {
        let mut values = String::new();
        let product = s.product();
        let _ = rows::item(&mut values, order, line, product, &mut s.random);
        items.push(format!("({values})"));
    }
    s.insert(&format!("INSERT INTO order_items {} VALUES {}", rows::columns("order_items"), items.join(","))).await?;
    let (product, warehouse) = (s.product(), s.random.between(1, WAREHOUSES));
    s.update(&format!("UPDATE inventory SET quantity=quantity-1 WHERE product_id={product} AND warehouse={warehouse}")).await?;
    let mut values = String::new();
    let _ = rows::payment(&mut values, order, None, &mut s.random);
    s.insert(&format!("INSERT INTO payments VALUES ({values})")).await?;
    s.update(&format!("UPDATE customers SET balance=balance+0.01 WHERE id={customer}")).await?;
    insert_event(s, customer).await?;
    Ok(End::Commit)
}

async fn insert_event(s: &mut Session<'_>, customer: u64) -> Result<(), Error> {
    let mut values = String::new();
    let _ = rows::event(&mut values, customer, &mut s.random);
    s.insert(&format!("INSERT INTO events VALUES ({values})")).await?;
    Ok(())
}

async fn cancel_order(s: &mut Session<'_>) -> Ended {
    let order = s.order();
    s.delete(&format!("DELETE FROM order_items WHERE order_id={order}")).await?;
    s.delete(&format!("DELETE FROM payments WHERE order_id={order}")).await?;
    s.delete(&format!("DELETE FROM orders WHERE id={order}")).await?;
    Ok(End::Commit)
}

/// Each row takes the key that the row before had.
async fn shift_lines(s: &mut Session<'_>) -> Ended {
    let order = s.order();
    if s.random.chance(60) {
        s.update(&format!("UPDATE order_items SET line=line+1 WHERE order_id={order} ORDER BY line DESC")).await?;
    } else {
        s.delete(&format!("DELETE FROM order_items WHERE order_id={order} AND line=1")).await?;
        s.update(&format!(
            "UPDATE order_items SET line=line-1, quantity=quantity+1 WHERE order_id={order} AND line>1 ORDER BY line"
        ))
        .await?;
    }
    Ok(End::Commit)
}

async fn change_customer(s: &mut Session<'_>) -> Ended {
    let id = s.customer();
    let status = s.random.pick(&["new", "active", "blocked", "gone"]);
    let marks = s.random.pick(&["", "vip", "newsletter", "b2b,tax free"]);
    let amount = rows::amount(&mut s.random);
    let amount = if amount.len() > 8 { "1.25".to_owned() } else { amount };
    s.update(&format!("UPDATE customers SET balance=balance+({amount}), status='{status}', marks='{marks}' WHERE id={id}"))
        .await?;
    let order = s.order();
    s.update(&format!("UPDATE orders SET state='paid', total=total+1 WHERE id={order}")).await?;
    Ok(End::Commit)
}

async fn new_customer(s: &mut Session<'_>) -> Ended {
    let mut values = String::new();
    let number = s.random.between(1 << 33, 1 << 45);
    let _ = rows::customer(&mut values, number, &mut s.random);
    // The number serves the mail address only; the key is the server's to give.
    let rest = values.split_once(',').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let id = s.insert(&format!("INSERT INTO customers VALUES (NULL,{rest})")).await?;
    s.shop.customers.fetch_max(id, Ordering::Relaxed);
    let mut values = String::new();
    let _ = rows::address(&mut values, s.random.between(1 << 41, 1 << 42), 1, &mut s.random);
    s.insert(&format!("INSERT INTO addresses VALUES ({values})")).await?;
    Ok(End::Commit)
}

/// A key that changes, sometimes there and back in one transaction.
async fn move_address(s: &mut Session<'_>) -> Ended {
    let old = s.random.between(1, s.shop.addresses);
    let new = s.random.between(1 << 40, (1 << 40) + 100_000);
    s.update(&format!("UPDATE addresses SET id={new}, city='Moved' WHERE id={old}")).await?;
    if s.random.chance(40) {
        s.update(&format!("UPDATE addresses SET id={old} WHERE id={new}")).await?;
    } else if s.random.chance(40) {
        let other = s.random.between(1 << 40, (1 << 40) + 100_000);
        s.delete(&format!("DELETE FROM addresses WHERE id={other}")).await?;
        s.update(&format!("UPDATE addresses SET id={other}, postcode=NULL WHERE id={new}")).await?;
    }
    Ok(End::Commit)
}

async fn edit_product(s: &mut Session<'_>) -> Ended {
    let id = s.product();
    let (price, tax) = (s.random.below(1000), s.random.pick(&["0", "7", "19", "25"]));
    let weight = (s.random.fraction() * 9.0) as f32;
    s.update(&format!("UPDATE products SET price={price}.49, tax_percent={tax}, weight={weight}, available=b'0' WHERE id={id}"))
        .await?;
    let set = match s.random.below(4) {
        0 => format!("JSON_SET(attributes, '$.size', {price})"),
        1 => format!("JSON_SET(attributes, '$.more.n', 'text {price}', '$.extra', JSON_ARRAY(1, 'zwei', NULL))"),
        2 => "JSON_REMOVE(attributes, '$.dimensions[0]')".to_owned(),
        _ => format!("'{}'", rows::attributes(&mut s.random)),
    };
    s.update(&format!("UPDATE product_details SET attributes={set} WHERE product_id={id}")).await?;
    Ok(End::Commit)
}

async fn pictures(s: &mut Session<'_>) -> Ended {
    let id = s.random.between(1, s.shop.images);
    let bytes = s.random.between(10, 20_000) as usize;
    let (content, checksum) = (s.random.hex(bytes), s.random.hex(7));
    if s.random.chance(50) {
        s.update(&format!("UPDATE product_images SET content=X'{content}', checksum=X'{checksum}' WHERE product_id={id}"))
            .await?;
    } else {
        let position = s.random.between(1, 4);
        s.insert(&format!("REPLACE INTO product_images VALUES ({id},{position},'image/jpeg',X'{content}',X'{checksum}')"))
            .await?;
    }
    Ok(End::Commit)
}

/// Two rows of a warehouse exchange a unique value.
async fn swap_bins(s: &mut Session<'_>) -> Ended {
    let a = s.random.between(1, s.shop.inventory);
    let b = (a + WAREHOUSES * s.random.between(1, 200) - 1) % s.shop.inventory + 1;
    let found: Vec<(u64, u16, Option<String>)> =
        s.read(&format!("SELECT id, warehouse, bin FROM inventory WHERE id IN ({a},{b}) ORDER BY id FOR UPDATE")).await?;
    let [(first, warehouse, first_bin), (second, other, second_bin)] = found.as_slice() else { return Ok(End::RollBack) };
    if warehouse != other {
        return Ok(End::RollBack);
    }
    let literal = |bin: &Option<String>| bin.as_ref().map_or("NULL".to_owned(), |bin| format!("'{bin}'"));
    s.update(&format!("UPDATE inventory SET bin=NULL WHERE id={first}")).await?;
    s.update(&format!("UPDATE inventory SET bin={} WHERE id={second}", literal(first_bin))).await?;
    s.update(&format!("UPDATE inventory SET bin={}, quantity=quantity+1 WHERE id={first}", literal(second_bin))).await?;
    Ok(End::Commit)
}

/// A unique value goes from one row to another, in any direction of the key.
async fn hand_on_email(s: &mut Session<'_>) -> Ended {
    let (a, b) = (s.customer(), s.customer());
    let found: Vec<(u64, Option<String>)> =
        s.read(&format!("SELECT id, email FROM customers WHERE id IN ({a},{b}) ORDER BY id FOR UPDATE")).await?;
    let Some((_, Some(email))) = found.iter().find(|(id, _)| *id == a).cloned() else { return Ok(End::RollBack) };
    s.update(&format!("UPDATE customers SET email=NULL WHERE id={a}")).await?;
    s.update(&format!("UPDATE customers SET email='{email}' WHERE id={b}")).await?;
    Ok(End::Commit)
}

/// A row goes, another comes with the unique values that it had.
async fn restock_bin(s: &mut Session<'_>) -> Ended {
    let (product, warehouse) = (s.product(), s.random.between(1, WAREHOUSES));
    let which = format!("product_id={product} AND warehouse={warehouse}");
    let found: Vec<Option<String>> = s.read(&format!("SELECT bin FROM inventory WHERE {which} FOR UPDATE")).await?;
    let bin = found.into_iter().flatten().next().map_or("NULL".to_owned(), |bin| format!("'{bin}'"));
    s.delete(&format!("DELETE FROM inventory WHERE {which}")).await?;
    let quantity = s.random.below(100);
    s.insert(&format!("INSERT INTO inventory VALUES (NULL,{product},{warehouse},{bin},{quantity},NOW(3))")).await?;
    Ok(End::Commit)
}

async fn swap_slugs(s: &mut Session<'_>) -> Ended {
    let (a, b) = (s.random.between(1, s.shop.categories), s.random.between(1, s.shop.categories));
    let found: Vec<(u64, String)> =
        s.read(&format!("SELECT id, slug FROM categories WHERE id IN ({a},{b}) ORDER BY id FOR UPDATE")).await?;
    let [(first, first_slug), (second, second_slug)] = found.as_slice() else { return Ok(End::RollBack) };
    s.update(&format!("UPDATE categories SET slug='being swapped' WHERE id={first}")).await?;
    s.update(&format!("UPDATE categories SET slug='{first_slug}' WHERE id={second}")).await?;
    s.update(&format!("UPDATE categories SET slug='{second_slug}', parent_id=NULL WHERE id={first}")).await?;
    Ok(End::Commit)
}

/// The key is text without case or accents: the same key in other letters, upserts, moves.
async fn vouchers(s: &mut Session<'_>) -> Ended {
    let code = rows::voucher_code(s.random.between(1, s.shop.vouchers));
    let new = s.random.between(1 << 40, (1 << 40) + 5000);
    match s.random.below(7) {
        0 => s.update(&format!("UPDATE vouchers SET code=UPPER(code), uses=uses+1 WHERE code='{code}'")).await?,
        1 => s.update(&format!("UPDATE vouchers SET code=LOWER(code) WHERE code='{code}'")).await?,
        2 => s.update(&format!("UPDATE vouchers SET code='moved-{new}' WHERE code='{code}'")).await?,
        3 => {
            s.insert(&format!("INSERT INTO vouchers VALUES ('MOVED-{new}',1.5,NOW(),1) ON DUPLICATE KEY UPDATE uses=uses+1"))
                .await?
        }
        4 => s.insert(&format!("REPLACE INTO vouchers VALUES ('Moved-{new}',2.5,NULL,9)")).await?,
        5 => s.delete(&format!("DELETE FROM vouchers WHERE code='mOVED-{new}'")).await?,
        _ => s.update(&format!("UPDATE vouchers SET uses=uses+1, valid_until=NOW() WHERE code='{code}'")).await?,
    };
    Ok(End::Commit)
}

/// Rows without a key, now and then equal ones.
async fn log_events(s: &mut Session<'_>) -> Ended {
    let mut list = Vec::new();
    for _ in 0..s.random.between(1, 4) {
        let (mut values, customer) = (String::new(), s.customer());
        let _ = rows::event(&mut values, customer, &mut s.random);
        let copies = if s.random.chance(30) { 2 } else { 1 };
        list.extend((0..copies).map(|_| format!("({values})")));
    }
    s.insert(&format!("INSERT INTO events VALUES {}", list.join(","))).await?;
    Ok(End::Commit)
}

async fn edit_events(s: &mut Session<'_>) -> Ended {
    let (customer, kind) = (s.customer(), s.random.pick(&KINDS));
    s.update(&format!("UPDATE events SET value=value+0.1, kind='{kind}' WHERE customer_id={customer}")).await?;
    insert_event(s, customer).await?;
    Ok(End::Commit)
}

async fn forget_events(s: &mut Session<'_>) -> Ended {
    let customer = s.customer();
    s.delete(&format!("DELETE FROM events WHERE customer_id={customer} LIMIT 1")).await?;
    s.delete("DELETE FROM events WHERE customer_id IS NULL LIMIT 3").await?;
    Ok(End::Commit)
}

/// No key, no index: whole scans, and equal rows.
async fn audit(s: &mut Session<'_>) -> Ended {
    let actor = s.random.pick(&ACTORS);
    match s.random.below(4) {
        0 => {
            s.update(&format!("UPDATE audit_log SET amount=COALESCE(amount,0)+0.1 WHERE actor='{actor}' LIMIT 2")).await?;
        }
        1 => {
            s.delete(&format!("DELETE FROM audit_log WHERE actor='{actor}' LIMIT 1")).await?;
        }
        _ => {
            let mut values = String::new();
            let _ = rows::audit(&mut values, &mut s.random);
            s.insert(&format!("INSERT INTO audit_log VALUES ({values}),({values})")).await?;
        }
    }
    Ok(End::Commit)
}

async fn savepoints(s: &mut Session<'_>) -> Ended {
    let customer = s.customer();
    insert_event(s, customer).await?;
    s.run("SAVEPOINT first").await?;
    let before = s.pending;
    s.update(&format!("UPDATE customers SET balance=0 WHERE id={customer}")).await?;
    s.run("SAVEPOINT `second one`").await?;
    let product = s.product();
    s.update(&format!("UPDATE products SET price=price+1 WHERE id={product}")).await?;
    if s.random.chance(50) {
        s.run("ROLLBACK TO SAVEPOINT `second one`").await?;
        s.update(&format!("UPDATE customers SET balance=balance+3 WHERE id={customer}")).await?;
        s.run("RELEASE SAVEPOINT first").await?;
    } else {
        s.run("ROLLBACK TO first").await?;
        s.pending = before;
    }
    insert_event(s, customer).await?;
    Ok(End::Commit)
}

/// Some thousand rows at once.
async fn bulk(s: &mut Session<'_>) -> Ended {
    match s.random.below(4) {
        0 => {
            for _ in 0..5 {
                let mut list = Vec::new();
                for _ in 0..BULK_ROWS / 5 {
                    let (mut values, customer) = (String::new(), s.customer());
                    let _ = rows::event(&mut values, customer, &mut s.random);
                    list.push(format!("({values})"));
                }
                s.insert(&format!("INSERT INTO events VALUES {}", list.join(","))).await?;
            }
        }
        1 => {
            let first = s.customer();
            s.update(&format!("UPDATE customers SET balance=balance+1 WHERE id BETWEEN {first} AND {}", first + BULK_ROWS))
                .await?;
        }
        2 => {
            let first = s.order();
            s.update(&format!(
                "UPDATE order_items SET quantity=quantity+1 WHERE order_id BETWEEN {first} AND {}",
                first + BULK_ROWS / 3
            ))
            .await?;
        }
        _ => {
            s.update(&format!("UPDATE inventory SET quantity=quantity+5 ORDER BY id LIMIT {BULK_ROWS}")).await?;
        }
    }
    // A bulk change that was a mistake, now and then.
    Ok(if s.random.chance(20) { End::RollBack } else { End::Commit })
}
