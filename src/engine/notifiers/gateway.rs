//! Asks the wizard gateways beside us how they are, each at its own pace and with a limit.

use crate::config::Gateway;
use crate::engine::snapshot::{GatewayState, GatewayView};
use crate::world::http_client::HttpClient;

/// A gateway that nobody has asked yet.
#[must_use]
pub fn unasked(gateway: &Gateway) -> GatewayView {
    GatewayView {
        name: gateway.name.clone(),
        state: GatewayState::Unknown,
        asked_at: None,
        answer: "not asked yet".to_owned(),
    }
}

/// Asks once. The answer is told in words of ours, never in the gateway's; one that sends us elsewhere is not well.
pub async fn ask(courier: &HttpClient) -> (GatewayState, String) {
    match courier.get().await {
        Ok(status @ 200..=299) => (GatewayState::Up, format!("it answered {status}")),
        Ok(status) => (GatewayState::Down, format!("it answered {status}")),
        Err(error) => (GatewayState::Down, format!("it {error}")),
    }
}
