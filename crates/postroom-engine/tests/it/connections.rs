//! Limits of connections, where no cycle is involved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use postroom_engine::Engine;
use postroom_provider::{
    Clock, OpContext, ProbeReport, Provider, ProviderFactory, ProviderRegistry, ProviderRequest,
};
use postroom_simulator::memory::MemoryFactory;

use crate::world::{DESK, World};

/// Counts how many probes are under way at once.
#[derive(Debug)]
struct Counting {
    inner: MemoryFactory,
    open: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl ProviderFactory for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn create(&self, request: &ProviderRequest) -> postroom_provider::Result<Arc<dyn Provider>> {
        self.inner.create(request)
    }

    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(open, Ordering::SeqCst);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let report = self.inner.probe(ctx, request).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
        report
    }
}

#[tokio::test]
async fn probes_keep_within_the_connections_of_their_profile() {
    let world = World::ready().await;
    for (connections, most) in [(1, 1), (2, 2)] {
        let mut profile = world.store().profile(world.profile).await.unwrap().unwrap();
        profile.connections_max = connections;
        let admin = world.admin();
        admin
            .update_profile(&world.operator, &profile)
            .await
            .unwrap();
        let counting = Arc::new(Counting {
            inner: MemoryFactory::new(world.server.clone()),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let factory: Arc<dyn ProviderFactory> = Arc::<Counting>::clone(&counting);
        let clock: Arc<dyn Clock> = Arc::<crate::world::TestClock>::clone(&world.clock);
        let registry = ProviderRegistry::new().with(factory);
        let engine = Engine::builder(world.store(), world.crm(), registry)
            .clock(clock)
            .build()
            .unwrap();
        let admin = engine.admin();
        let address = DESK.parse().unwrap();
        let probe = || admin.test_connection(&world.operator, world.profile, Some(&address));
        let (one, two, three) = tokio::join!(probe(), probe(), probe());
        for report in [one, two, three] {
            assert_eq!(report.unwrap().first_cause(), None);
        }
        assert_eq!(counting.most.load(Ordering::SeqCst), most);
    }
}
