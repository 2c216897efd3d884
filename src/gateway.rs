//! Asks the wizard gateways beside us how they are, each at its own pace and with a limit.

use crate::settings::Gateway;
use crate::snapshot::{GatewayState, GatewayView};
use crate::world::gitea::install_tls;
use reqwest::{Client, StatusCode};
use std::time::Duration;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client for all gateways. Redirects are not followed: a gateway that sends us elsewhere is not well.
pub fn client() -> reqwest::Result<Client> {
    install_tls();
    let agent = concat!("lazarus-reconcile/", env!("CARGO_PKG_VERSION"));
    let client = Client::builder().user_agent(agent).redirect(reqwest::redirect::Policy::none());
    client.timeout(PATIENCE).no_proxy().build()
}

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

/// Asks once. The answer is told in words of ours, never in the gateway's.
pub async fn ask(client: &Client, gateway: &Gateway) -> (GatewayState, String) {
    match client.get(gateway.url.clone()).send().await {
        Ok(answer) if answer.status().is_success() => (GatewayState::Up, spoken(answer.status())),
        Ok(answer) => (GatewayState::Down, spoken(answer.status())),
        Err(error) if error.is_timeout() => (GatewayState::Down, format!("no answer within {} s", PATIENCE.as_secs())),
        Err(error) if error.is_connect() => (GatewayState::Down, "it cannot be reached".to_owned()),
        Err(_) => (GatewayState::Down, "it broke off".to_owned()),
    }
}

fn spoken(status: StatusCode) -> String {
    format!("it answered {}", status.as_u16())
}
