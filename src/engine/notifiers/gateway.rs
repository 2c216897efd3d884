//! Polls the health of the configured gateways, each at its own interval and with a timeout.

use crate::config::Gateway;
use crate::engine::snapshot::{GatewayState, GatewayView};
use crate::world::http_client::HttpClient;

/// The view of a gateway before the first poll.
#[must_use]
pub fn unasked(gateway: &Gateway) -> GatewayView {
    GatewayView {
        name: gateway.name.clone(),
        state: GatewayState::Unknown,
        asked_at: None,
        answer: "not asked yet".to_owned(),
    }
}

/// Polls once. The answer never contains text of the gateway; a redirect counts as down.
pub async fn ask(client: &HttpClient) -> (GatewayState, String) {
    match client.get().await {
        Ok(status @ 200..=299) => (GatewayState::Up, format!("it answered {status}")),
        Ok(status) => (GatewayState::Down, format!("it answered {status}")),
        Err(error) => (GatewayState::Down, format!("it {error}")),
    }
}
