//! Routes, each with what it needs: there is no other way to make one.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    response::IntoResponse,
    routing::{MethodFilter, on},
};
use utoipa::{
    __dev::{SchemaReferences, Tags},
    openapi::{HttpMethod, RefOr, Schema, path},
};

use super::guard::Guard;
use crate::{model::Right, web::Web};

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it says nothing of any repository.
    Nothing,
    /// It shows what its visitor may see, and nothing else.
    Visitor,
    /// The same, for whoever has said who they are.
    Known,
    /// Somebody who has signed in.
    SignedIn,
    /// A right in the repository that its query names.
    Repository(Right),
    /// A right in the repository of the run that it names.
    Run(Right),
    /// A right in the repository of the job that it names.
    Job(Right),
    /// A right in the repository of the delivery that it names.
    Delivery(Right),
}

/// A route, and what it needs.
#[derive(Debug, Clone)]
pub struct RouteNeed {
    /// How it is asked.
    pub method: Method,
    /// Where it is.
    pub path: String,
    /// What it needs.
    pub need: Need,
}

/// A handler's arguments, the first of which is a guard.
pub(in crate::web) trait Guarded {
    const NEED: Need;
}

macro_rules! guarded {
    ($(($($more:ident)*))*) => {$(
        impl<M, G: Guard, $($more),*> Guarded for (M, G, $($more,)*) {
            const NEED: Need = G::NEED;
        }
    )*};
}
guarded! { () (A) (A B) (A B C) (A B C D) (A B C D E) }

/// What `utoipa::path` makes beside a handler of the API.
pub(in crate::web) trait Described: utoipa::Path + SchemaReferences + Tags<'static> {}

impl<D: utoipa::Path + SchemaReferences + Tags<'static>> Described for D {}

/// A route of the API, as its description has it.
pub(in crate::web) struct Operation {
    pub(in crate::web) need: Need,
    pub(in crate::web) method: HttpMethod,
    pub(in crate::web) path: String,
    pub(in crate::web) told: path::Operation,
    /// The types that it names.
    pub(in crate::web) schemas: Vec<(String, RefOr<Schema>)>,
}

/// Routes that say what they need.
#[derive(Default)]
pub(in crate::web) struct Routes {
    router: Router<Web>,
    needs: Vec<RouteNeed>,
    operations: Vec<Operation>,
}

impl Routes {
    /// None yet.
    pub(in crate::web) fn new() -> Self {
        Self::default()
    }

    /// What can be looked at.
    pub(in crate::web) fn get<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::GET, MethodFilter::GET, path, handler)
    }

    /// What can be done.
    pub(in crate::web) fn post<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::POST, MethodFilter::POST, path, handler)
    }

    /// What can be put in a place.
    pub(in crate::web) fn put<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::PUT, MethodFilter::PUT, path, handler)
    }

    /// What can be taken away.
    pub(in crate::web) fn delete<T: Guarded + 'static>(self, path: &str, handler: impl Handler<T, Web>) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    /// What programs ask: its method and its path are those of its description, so that none is without one.
    pub(in crate::web) fn operation<T: Guarded + 'static, D: Described>(
        mut self,
        handler: impl Handler<T, Web>,
        _: D,
    ) -> Self {
        let path = D::path();
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        for method in D::methods() {
            let (path, mut told, schemas) = (path.clone(), D::operation(), schemas.clone());
            told.tags = Some(D::tags().into_iter().map(ToOwned::to_owned).collect());
            self.operations.push(Operation { need: T::NEED, method, path, told, schemas });
        }
        match D::methods().first() {
            Some(HttpMethod::Post) => self.post(&path, handler),
            Some(HttpMethod::Put) => self.put(&path, handler),
            Some(HttpMethod::Delete) => self.delete(&path, handler),
            _ => self.get(&path, handler),
        }
    }

    fn on<T: Guarded + 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        handler: impl Handler<T, Web>,
    ) -> Self {
        self.needs.push(RouteNeed { method, path: path.to_owned(), need: T::NEED });
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }

    /// These below a path.
    pub(in crate::web) fn nest(mut self, path: &str, inner: Self) -> Self {
        let below = |route: RouteNeed| {
            let rest = if route.path == "/" { "" } else { &route.path };
            RouteNeed { path: format!("{path}{rest}"), ..route }
        };
        self.needs.extend(inner.needs.into_iter().map(below));
        self.operations.extend(inner.operations);
        Self { router: self.router.nest(path, inner.router), ..self }
    }

    /// Whatever no other route takes.
    pub(in crate::web) fn or<T: Guarded + 'static>(mut self, handler: impl Handler<T, Web>) -> Self {
        let any = RouteNeed { method: Method::GET, path: "/{*rest}".to_owned(), need: T::NEED };
        self.needs.push(any);
        Self { router: self.router.fallback(handler), ..self }
    }

    /// What is said of paths, and of methods, that nothing here has.
    pub(in crate::web) fn refusing<A, B>(self, missing: Option<fn() -> A>, method: fn() -> B) -> Self
    where
        A: IntoResponse + 'static,
        B: IntoResponse + 'static,
    {
        let router = match missing {
            Some(missing) => self.router.fallback(async move || missing()),
            None => self.router,
        };
        Self { router: router.method_not_allowed_fallback(async move || method()), ..self }
    }

    /// To be served.
    pub(in crate::web) fn router(self) -> Router<Web> {
        self.router
    }

    /// What they need.
    pub(in crate::web) fn needs(self) -> Vec<RouteNeed> {
        self.needs
    }

    /// How those of the API are described.
    pub(in crate::web) fn operations(self) -> Vec<Operation> {
        self.operations
    }
}
