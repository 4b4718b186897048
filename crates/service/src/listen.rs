//! Addresses to listen at, the same for engine and operator.

use tokio::net::TcpListener;

/// Reads `HOST:PORT`; without a host every address of the machine.
///
/// # Errors
/// What is wrong with it, in words.
pub fn address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("write it as HOST:PORT, or :PORT for every address of the machine")?;
    port.parse::<u16>().map_err(|_| format!("'{port}' is not a port; use 0 to 65535"))?;
    Ok(if host.is_empty() { format!("[::]:{port}") } else { text.to_owned() })
}

/// Listens at `HOST:PORT`. `[::]` stands for every address, also where IPv6 is switched off.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: &str) -> std::io::Result<TcpListener> {
    match (TcpListener::bind(address).await, address.strip_prefix("[::]:")) {
        (Err(_), Some(port)) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address(":8080").unwrap(), "[::]:8080");
        assert_eq!(address("localhost:0").unwrap(), "localhost:0");
        assert!(address("8080").is_err() && address("localhost:http").is_err());
    }
}
