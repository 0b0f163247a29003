//! A stream whose peer must say something at first, and must take what it is sent.
//!
//! Which protocol is spoken shows in the first bytes, and until then no time-out of a protocol runs: a
//! socket that is opened and says nothing would keep its place for ever. So would one that asks for much
//! and reads nothing.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The stream.
pub(super) struct Timed<S> {
    stream: S,
    /// Runs until the protocol has shown.
    opening: Option<Pin<Box<Sleep>>>,
    /// How many bytes of the preface have come.
    matched: usize,
    write_timeout: Duration,
    /// Runs while the peer takes nothing.
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, opening_timeout: Duration, write_timeout: Duration) -> Self {
        Self {
            stream,
            opening: Some(Box::pin(sleep(opening_timeout))),
            matched: 0,
            write_timeout,
            writing: None,
        }
    }

    /// Takes note of bytes that have come.
    fn came(&mut self, bytes: &[u8]) {
        let rest = &PREFACE[self.matched..];
        let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        self.matched += same;
        // Something else than HTTP/2, the end of the stream, or the whole preface.
        if same < bytes.len() || bytes.is_empty() || self.matched == PREFACE.len() {
            self.opening = None;
        }
    }

    /// The result of a write, unless the peer has taken nothing for too long.
    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        let timeout = self.write_timeout;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if timer.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(late("the peer takes nothing of what it is sent")));
        }
        Poll::Pending
    }
}

fn late(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, text)
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(opening) = &mut self.opening else {
            return result;
        };
        if result.is_ready() {
            self.came(&buffer.filled()[before..]);
        } else if opening.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(late("the first bytes did not come in time")));
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wrote(context, result)
    }
}
