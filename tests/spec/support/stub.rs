//! Something in the place of a forge that says one thing to whoever comes, in the clear or behind a certificate.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Listens on a port of its own until the tests end.
pub(crate) struct Stub {
    /// Its port.
    pub(crate) port: u16,
    /// The CA of its certificate, as PEM.
    pub(crate) ca: String,
}

/// What is wrong with a certificate, if anything.
#[derive(Clone, Copy)]
pub(crate) enum Certificate {
    Good,
    Expired,
    OfAnotherName,
    /// It is its own CA, as one that was made in a hurry.
    OwnCa,
}

/// An answer as a forge's: JSON, and a date.
pub(crate) fn json(date: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: {date}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

impl Stub {
    /// In the clear.
    pub(crate) fn telling(answer: String) -> Self {
        Self::serve(String::new(), move |mut stream| converse(&mut stream, &answer))
    }

    /// Takes connections, and never says a word.
    pub(crate) fn silent() -> Self {
        Self::serve(String::new(), std::mem::forget)
    }

    /// Behind a certificate of a CA that nobody knows.
    pub(crate) fn behind(certificate: Certificate, answer: String) -> Self {
        let (ca, config) = private_ca(certificate);
        let config = Arc::new(config);
        Self::serve(ca, move |mut stream| {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            converse(&mut Stream::new(&mut connection, &mut stream), &answer);
        })
    }

    fn serve(ca: String, answer: impl Fn(TcpStream) + Send + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        std::thread::spawn(move || socket.incoming().for_each(|stream| answer(stream.unwrap())));
        Self { port, ca }
    }
}

/// Reads one request's head and answers it. Whoever does not like the certificate is gone by then.
fn converse(stream: &mut (impl Read + Write), answer: &str) {
    let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
    while !heard.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => heard.extend_from_slice(&buffer[..count]),
            Ok(0) | Err(_) => return,
        }
    }
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}

fn private_ca(certificate: Certificate) -> (String, ServerConfig) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    if matches!(certificate, Certificate::OwnCa) {
        return (ca.pem(), serving(ca.der().to_vec(), &key));
    }
    let issuer = Issuer::from_params(&params, &key);
    let name = if matches!(certificate, Certificate::OfAnotherName) { "elsewhere.test" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if matches!(certificate, Certificate::Expired) {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    }
    let own_key = KeyPair::generate().unwrap();
    let own = params.signed_by(&own_key, &issuer).unwrap();
    (ca.pem(), serving(own.der().to_vec(), &own_key))
}

fn serving(certificate: Vec<u8>, key: &KeyPair) -> ServerConfig {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from(certificate)];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap()
}
