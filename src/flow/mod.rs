//! Flow files: text in, a [`Plan`](crate::model::Plan) or all diagnostics out. Pure.
