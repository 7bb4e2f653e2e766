//! The API as a hosted service. It is started last and stopped first: while it stops, what it was asked before is still
//! answered by the services behind it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::Router;
use posthaste_composition::Readiness;
use posthaste_host::{HostedService, Ready, ServiceError, Stop};
use tokio::net::TcpListener;
use tracing::info;

/// Serves a router on a listener.
#[derive(Debug)]
pub struct ApiServer {
    listener: TcpListener,
    router: Router,
    readiness: Arc<Readiness>,
    announce: Duration,
}

impl ApiServer {
    /// A server that says "not ready" for `announce` before it stops taking requests.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        router: Router,
        readiness: Arc<Readiness>,
        announce: Duration,
    ) -> Self {
        Self {
            listener,
            router,
            readiness,
            announce,
        }
    }
}

#[async_trait]
impl HostedService for ApiServer {
    fn name(&self) -> &str {
        "api"
    }

    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<(), ServiceError> {
        let Self {
            listener,
            router,
            readiness,
            announce,
        } = *self;
        let address = listener.local_addr()?;
        info!(address = %address, "listening");
        ready.ready();
        let last_call = {
            let stop = stop.clone();
            async move {
                stop.requested().await;
                readiness.stopping();
                tokio::select! {
                    () = tokio::time::sleep(announce) => {}
                    () = stop.forced() => {}
                }
            }
        };
        // Open requests are answered, idle connections closed.
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(last_call);
        tokio::select! {
            biased;
            served = serving.into_future() => served?,
            () = stop.forced() => {}
        }
        Ok(())
    }
}
