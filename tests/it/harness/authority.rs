//! Certificates, and what speaks TLS by them.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

/// Who signs certificates for this machine: `127.0.0.1` and `localhost`.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("it signs itself").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A file for whoever is to trust it.
    pub(crate) fn write(&self, path: &Path) -> String {
        std::fs::write(path, &self.pem).expect("it can be written");
        path.display().to_string()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let params = CertificateParams::new(names).expect("good names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.into()], key).expect("a pair")))
    }

    /// A port that speaks TLS before one of this machine that does not. What the second returns: one word for each
    /// caller, `trusted` or `refused`.
    pub(crate) async fn before(&self, port: u16) -> (u16, mpsc::UnboundedReceiver<&'static str>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (own, acceptor) = (listener.local_addr().expect("an address").port(), self.acceptor());
        let (say, said) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, say) = (acceptor.clone(), say.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        let _ = say.send("refused");
                        return;
                    };
                    let _ = say.send("trusted");
                    let mut behind = TcpStream::connect(("127.0.0.1", port)).await.expect("it is there");
                    let _ = copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        (own, said)
    }
}
