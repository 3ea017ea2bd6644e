"""Contexts for every page, plain and difficult ones, that the tests of words and of looks share."""

from typing import Any

from oauthd.pages.rendering import Pages, destination

UNBROKEN = "Abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"  # sixty characters, no place to break
NO_LINKS = {"logo": None, "policy": None, "terms": None}
LINKS = {
    "logo": Pages().static_url("favicon.svg"),  # ours, so that a browser under test finds it
    "policy": "https://photos.example/policy",
    "terms": "https://photos.example/terms",
}
HIDDEN = {"csrf": "a" * 43, "interaction": "b" * 43}

SCOPES = [
    {"name": "messages.read", "description": "Read the messages in your inbox"},
    {"name": "profile", "description": "See your profile: name, picture, language and time zone"},
    {
        "name": "email",
        "description": "Know your email address and whether it is verified, so that the application can write to you",
    },
    {
        "name": "offline_access",
        "description": "Stay connected when you are away, until you withdraw the permission; it can then do all "
        "of the above without asking you again",
    },
    {
        "name": "https://api.example/auth/calendar.readwrite",
        "description": "See and change the entries of every calendar that you own or that others have shared with you, "
        "including private ones",
    },
    {"name": "address", "description": ""},
]
TWELVE_SCOPES = [*SCOPES, *({**scope, "name": f"{scope['name']}.archive"} for scope in SCOPES)]

DETAILS = [
    {
        "title": "Start a payment",
        "sentence": [("Pay ", False), ("123.50", True), (" EUR to ", False), ("Merchant A", True)],
        "lines": [
            {"label": "Amount", "value": "123.50"},
            {"label": "Creditor account, IBAN", "value": "DE02100100109307118603"},
            {"label": UNBROKEN, "value": UNBROKEN * 2},
        ],
    },
    {"title": "See your accounts", "sentence": [], "lines": []},
]

# sample name: (template, context)
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "login": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": "Photo Printer",
            "client_address": None,
            "login": "",
            "error": None,
        }
        | NO_LINKS,
    ),
    "login_links": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": "Photo Printer",
            "client_address": None,
            "login": "",
            "error": None,
        }
        | LINKS,
    ),
    "login_described": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": "Your Bank",
            "client_address": "agent.example:8443",
            "login": "",
            "error": None,
        }
        | NO_LINKS,
    ),
    "login_described_long": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": UNBROKEN,
            "client_address": f"{UNBROKEN}.{UNBROKEN}.agents.example:8443",
            "login": "",
            "error": None,
        }
        | LINKS,
    ),
    "login_without_client": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": None,
            "client_address": None,
            "login": "ada",
            "error": None,
        }
        | NO_LINKS,
    ),
    "login_error": (
        "login",
        {
            "action": "/login",
            "hidden": HIDDEN,
            "client_name": UNBROKEN,
            "client_address": None,
            "login": "ada",
            "error": "That name and password do not match. Check both and try again.",
        }
        | NO_LINKS,
    ),
    "consent": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": "Photo Printer",
            "client_host": "photos.example",
            "client_address": None,
            "person": "Ada Lovelace",
            "scopes": SCOPES[:3],
            "details": [],
            "destination": destination("https://photos.example/callback"),
        }
        | NO_LINKS,
    ),
    "consent_links": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": "Photo Printer",
            "client_host": "photos.example",
            "client_address": None,
            "person": "Ada Lovelace",
            "scopes": SCOPES[:3],
            "details": [],
            "destination": destination("https://photos.example/callback"),
        }
        | LINKS,
    ),
    "consent_described": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": "Coding Agent",
            "client_host": "agent.example",
            "client_address": "agent.example",
            "person": "Ada Lovelace",
            "scopes": SCOPES[:1],
            "details": [],
            "destination": destination("http://127.0.0.1:49152/callback"),
        }
        | NO_LINKS,
    ),
    "consent_long": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": UNBROKEN,
            "client_host": "a-rather-long-host-name.of.an.application.photos.example",
            "client_address": None,
            "person": "ada.lovelace.countess.of.lovelace@analytical-engine.example",
            "scopes": TWELVE_SCOPES,
            "details": DETAILS,
            "destination": destination("http://127.0.0.1:49152/callback"),
        }
        | NO_LINKS,
    ),
    "consent_details": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": "Money Box",
            "client_host": None,
            "client_address": None,
            "person": "Ada Lovelace",
            "scopes": [],
            "details": DETAILS[:1],
            "destination": destination("https://money.example/callback"),
        }
        | NO_LINKS,
    ),
    "consent_without_scopes": (
        "consent",
        {
            "action": "/consent",
            "hidden": HIDDEN,
            "client_name": "Terminal",
            "client_host": None,
            "client_address": None,
            "person": "ada",
            "scopes": [],
            "details": [],
            "destination": destination("com.example.terminal:/callback"),
        }
        | NO_LINKS,
    ),
    "device_code": ("device_code", {"action": "/device", "hidden": HIDDEN, "user_code": "", "error": None}),
    "device_code_error": (
        "device_code",
        {
            "action": "/device",
            "hidden": HIDDEN,
            "user_code": "bcdf-ghjk",
            "error": "No device is waiting with this code. Codes end after a while; ask your device for a new one.",
        },
    ),
    "device_confirm": (
        "device_confirm",
        {
            "action": "/device",
            "hidden": HIDDEN,
            "client_name": "Living Room TV",
            "person": "Ada Lovelace",
            "scopes": SCOPES[:2],
            "details": [],
            "user_code": "BCDF-GHJK",
        },
    ),
    "device_confirm_long": (
        "device_confirm",
        {
            "action": "/device",
            "hidden": HIDDEN,
            "client_name": UNBROKEN,
            "person": "Ada Lovelace",
            "scopes": TWELVE_SCOPES,
            "details": DETAILS,
            "user_code": "WWWW-MMMM",
        },
    ),
    "device_approved": ("device_done", {"approved": True, "client_name": "Living Room TV"}),
    "device_refused": ("device_done", {"approved": False, "client_name": UNBROKEN}),
    "ciba_list": (
        "ciba_list",
        {
            "action": "/requests",
            "hidden": HIDDEN,
            "person": "Ada Lovelace",
            "requests": [
                {"address": "/requests?request=one", "client_name": "Money Box", "message": "W4SCT"},
                {"address": "/requests?request=two", "client_name": UNBROKEN, "message": UNBROKEN * 2},
                {"address": "/requests?request=three", "client_name": "Call Centre", "message": ""},
            ],
        },
    ),
    "ciba_list_empty": (
        "ciba_list",
        {"action": "/requests", "hidden": HIDDEN, "person": "Ada Lovelace", "requests": []},
    ),
    "ciba_confirm": (
        "ciba_confirm",
        {
            "action": "/requests",
            "hidden": HIDDEN,
            "client_name": "Money Box",
            "person": "Ada Lovelace",
            "scopes": SCOPES[:2],
            "details": [],
            "message": "W4SCT",
        }
        | NO_LINKS,
    ),
    "ciba_confirm_long": (
        "ciba_confirm",
        {
            "action": "/requests",
            "hidden": HIDDEN,
            "client_name": UNBROKEN,
            "person": "ada.lovelace.countess.of.lovelace@analytical-engine.example",
            "scopes": TWELVE_SCOPES,
            "details": DETAILS,
            "message": UNBROKEN * 2,
        }
        | LINKS,
    ),
    "ciba_approved": ("ciba_done", {"approved": True, "client_name": "Money Box"}),
    "ciba_denied": ("ciba_done", {"approved": False, "client_name": UNBROKEN}),
    "logout": (
        "logout",
        {"action": "/logout", "hidden": HIDDEN, "client_name": "Photo Printer", "person": "Ada Lovelace"},
    ),
    "logout_unasked": ("logout", {"action": "/logout", "hidden": HIDDEN, "client_name": None, "person": None}),
    "signed_out": ("signed_out", {}),
    "signed_out_here": (
        "signed_out_here",
        {"target": "https://app.example/after", "destination": destination("https://app.example/after")},
    ),
    "signing_out": (
        "signing_out",
        {
            "frames": ["https://photos.example/out?iss=a&sid=b", "https://mail.example/out"],
            "target": "https://photos.example/after?state=s",
            "destination": destination("https://photos.example/after?state=s"),
            "seconds": 5,
            "script": "(function () { })()",
        },
    ),
    "signing_out_home": (
        "signing_out",
        {
            "frames": ["https://photos.example/out"],
            "target": "/logout",
            "destination": None,
            "seconds": 5,
            "script": "(function () { })()",
        },
    ),
    "form_post": (
        "form_post",
        {
            "action": "https://photos.example/callback",
            "fields": {"code": "c" * 60, "state": UNBROKEN, "iss": "https://login.example"},
            "destination": destination("https://photos.example/callback"),
            "script": "",
        },
    ),
    "error": (
        "error",
        {
            "message": "The application asked in a way that cannot be answered.",
            "advice": "Go back to the application and try again. If that fails, tell its makers what stands below.",
            "error": "invalid_request",
            "description": "redirect_uri is not registered for this client",
            "reference": "01JD4W7M2Q",
            "leave": "",
        },
    ),
    "error_at_logout": (
        "error",
        {
            "message": "This request cannot be carried out.",
            "advice": "Go back to the application and start again.",
            "error": "invalid_request",
            "description": "post_logout_redirect_uri is not registered for the client that asks",
            "reference": None,
            "leave": "/logout",
        },
    ),
    "error_plain": (
        "error",
        {
            "message": "There is no such page.",
            "advice": None,
            "error": None,
            "description": None,
            "reference": None,
            "leave": "",
        },
    ),
    "home": ("home", {"person": None, "issuer": "https://login.example"}),
    "home_signed_in": ("home", {"person": "Ada Lovelace", "issuer": "https://login.example"}),
}
