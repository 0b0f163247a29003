//! A blocking WebSocket client that speaks JSON.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket, client};

use super::Client;

const PATIENCE: Duration = Duration::from_secs(60);

/// An open socket.
pub struct Socket(WebSocket<TcpStream>);

impl Socket {
    /// Opens a socket with the client's key; fails the test when it is refused.
    pub fn open(of: &Client, query: &str) -> Self {
        Self::try_open(of, query)
            .unwrap_or_else(|(status, body)| panic!("refused: {status} {body}"))
    }

    /// Opens a socket, or gives the status and body of the refusal.
    pub fn try_open(of: &Client, query: &str) -> Result<Self, (u16, Value)> {
        let address = of.url.strip_prefix("http://").unwrap();
        let url = format!("ws://{address}/api/analytics/ws{query}");
        let mut request = url.into_client_request().unwrap();
        if let Some(key) = of.key() {
            let key = key.parse().unwrap();
            request.headers_mut().insert("X-API-Key", key);
        }
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match client(request, stream) {
            Ok((socket, answer)) => {
                assert!(answer.headers().contains_key("x-request-id"));
                Ok(Self(socket))
            }
            Err(HandshakeError::Failure(Error::Http(answer))) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                Err((answer.status().as_u16(), body))
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// Sends a message.
    pub fn send(&mut self, message: Value) {
        self.send_text(&message.to_string());
    }

    /// Sends any text.
    pub fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// Sends bytes that are no text.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).unwrap();
    }

    /// The next message; fails the test when there is none.
    pub fn recv(&mut self) -> Value {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Ok(Message::Ping(_)) => {}
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }

    /// The next message of this type, the others left out; fails the test when there is none.
    pub fn recv_type(&mut self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.recv();
            if message["type"] == kind {
                return message;
            }
            assert!(Instant::now() < deadline, "no {kind} within a minute");
        }
    }

    /// Sends a message and gives what comes next.
    pub fn ask(&mut self, message: Value) -> Value {
        self.send(message);
        self.recv()
    }

    /// Waits for a ping frame.
    pub fn wait_for_ping(&mut self) {
        while !matches!(self.0.read().unwrap(), Message::Ping(_)) {}
        // The answer goes out with the next read or flush.
        self.0.flush().unwrap();
    }

    /// Reads until the daemon closes the socket, and gives its code.
    pub fn close_code(&mut self) -> u16 {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(frame))) => return u16::from(frame.code),
                Ok(Message::Close(None)) => return u16::from(CloseCode::Status),
                Ok(_) => {}
                Err(error) => panic!("ended without a close: {error}"),
            }
        }
    }
}
