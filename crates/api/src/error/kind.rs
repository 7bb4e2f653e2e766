//! The kinds of errors: the table of statuses, stable names and titles.

use axum::http::StatusCode;

/// What kind of error: decides status, stable name and title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The body cannot be read: not JSON, not UTF-8, too deep, broken off.
    Unreadable,
    /// An idempotency key that is not 1 to 256 visible ASCII characters.
    InvalidIdempotencyKey,
    /// No key was presented.
    MissingApiKey,
    /// The key's scopes do not permit this.
    RestrictedApiKey,
    /// The key is not valid; whether it ever was is not told.
    InvalidApiKey,
    /// The key may not send from this domain.
    InvalidFromAddress,
    /// No such address, or another password.
    InvalidCredentials,
    /// An access token that is missing, unknown, expired or ended.
    InvalidAccessToken,
    /// A refresh token that is unknown, expired, spent or ended.
    InvalidRefreshToken,
    /// The password is right, and the address waits to be confirmed.
    EmailNotConfirmed,
    /// No such route, or no such thing of this owner.
    NotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// The idempotency key was used for another request.
    InvalidIdempotentRequest,
    /// A worker has the thing in hand right now.
    ResourceLocked,
    /// The first request under the idempotency key has not ended yet.
    ConcurrentIdempotentRequests,
    /// The body is larger than the route takes.
    PayloadTooLarge,
    /// The body's type is not the one that the route reads.
    UnsupportedMediaType,
    /// The request names a host that this server does not answer for.
    MisdirectedRequest,
    /// Fields are missing, and nothing else is wrong.
    MissingRequiredField,
    /// Fields are not valid.
    ValidationError,
    /// Attachments are not valid, and nothing else is wrong.
    InvalidAttachment,
    /// A time, a place in a list or another parameter is not valid, and nothing else is wrong.
    InvalidParameter,
    /// A one-time token that is unknown, spent or expired.
    InvalidToken,
    /// As often as is allowed for now.
    RateLimitExceeded,
    /// A fault of ours.
    ApplicationError,
    /// Not now: overload, a store that does not answer, a request that took too long.
    ServiceUnavailable,
}

impl ErrorKind {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The title, the same for every occurrence.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as Http;
        match self {
            Self::Unreadable => (
                Http::BAD_REQUEST,
                "validation_error",
                "The body cannot be read",
            ),
            Self::InvalidIdempotencyKey => (
                Http::BAD_REQUEST,
                "invalid_idempotency_key",
                "Invalid idempotency key",
            ),
            Self::MissingApiKey => (Http::UNAUTHORIZED, "missing_api_key", "Missing API key"),
            Self::RestrictedApiKey => (
                Http::UNAUTHORIZED,
                "restricted_api_key",
                "The API key does not permit this",
            ),
            Self::InvalidApiKey => (Http::FORBIDDEN, "invalid_api_key", "Invalid API key"),
            Self::InvalidFromAddress => (
                Http::FORBIDDEN,
                "invalid_from_address",
                "Sender not allowed",
            ),
            Self::InvalidCredentials => (
                Http::UNAUTHORIZED,
                "invalid_credentials",
                "Wrong address or password",
            ),
            Self::InvalidAccessToken => (
                Http::UNAUTHORIZED,
                "invalid_access_token",
                "Invalid access token",
            ),
            Self::InvalidRefreshToken => (
                Http::UNAUTHORIZED,
                "invalid_refresh_token",
                "Invalid refresh token",
            ),
            Self::EmailNotConfirmed => (
                Http::FORBIDDEN,
                "email_not_confirmed",
                "Address not confirmed",
            ),
            Self::NotFound => (Http::NOT_FOUND, "not_found", "Not found"),
            Self::MethodNotAllowed => (
                Http::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
            ),
            Self::InvalidIdempotentRequest => (
                Http::CONFLICT,
                "invalid_idempotent_request",
                "Idempotency key used before",
            ),
            Self::ResourceLocked => (Http::CONFLICT, "resource_locked", "In use right now"),
            Self::ConcurrentIdempotentRequests => (
                Http::CONFLICT,
                "concurrent_idempotent_requests",
                "The first request under this key has not ended",
            ),
            Self::PayloadTooLarge => (
                Http::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "Payload too large",
            ),
            Self::UnsupportedMediaType => (
                Http::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
            ),
            Self::MisdirectedRequest => (
                Http::MISDIRECTED_REQUEST,
                "misdirected_request",
                "Wrong host",
            ),
            Self::MissingRequiredField => (
                Http::UNPROCESSABLE_ENTITY,
                "missing_required_field",
                "Missing required field",
            ),
            Self::ValidationError => (
                Http::UNPROCESSABLE_ENTITY,
                "validation_error",
                "Validation failed",
            ),
            Self::InvalidAttachment => (
                Http::UNPROCESSABLE_ENTITY,
                "invalid_attachment",
                "Invalid attachment",
            ),
            Self::InvalidParameter => (
                Http::UNPROCESSABLE_ENTITY,
                "invalid_parameter",
                "Invalid parameter",
            ),
            Self::InvalidToken => (Http::UNPROCESSABLE_ENTITY, "invalid_token", "Invalid token"),
            Self::RateLimitExceeded => (
                Http::TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                "Too many requests",
            ),
            Self::ApplicationError => (
                Http::INTERNAL_SERVER_ERROR,
                "application_error",
                "Internal error",
            ),
            Self::ServiceUnavailable => (
                Http::SERVICE_UNAVAILABLE,
                "service_unavailable",
                "Service unavailable",
            ),
        }
    }
}
