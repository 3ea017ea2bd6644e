"""Types of authorization details that tests declare, and requests for them."""

from __future__ import annotations

import json
from typing import Any

PAYMENT_TYPE = "https://scheme.example.com/payment_initiation"

PAYMENT: dict[str, Any] = {
    "type": PAYMENT_TYPE,
    "title": "Start a payment",
    "sentence": "Pay {instructedAmount.amount} {instructedAmount.currency} to {creditorName}",
    "schema": {
        "type": "object",
        "required": ["actions", "instructedAmount", "creditorName"],
        "properties": {
            "actions": {"type": "array", "items": {"enum": ["initiate", "status", "cancel"]}, "minItems": 1},
            "locations": {"type": "array", "items": {"type": "string", "format": "uri"}},
            "instructedAmount": {
                "title": "Amount",
                "type": "object",
                "required": ["currency", "amount"],
                "properties": {
                    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
                    "amount": {"type": "string", "pattern": "^[0-9]+(\\.[0-9]{2})?$"},
                },
            },
            "creditorName": {"title": "Creditor", "type": "string", "maxLength": 3000},
            "creditorAccount": {"$ref": "#/$defs/account"},
            "urgent": {"type": "boolean"},
        },
        "$defs": {"account": {"type": "object", "properties": {"iban": {"title": "IBAN", "type": "string"}}}},
    },
}
ACCOUNTS: dict[str, Any] = {
    "type": "account_information",
    "title": "See your accounts",
    "additive": ["actions", "locations"],
    "schema": {
        "properties": {
            "actions": {"type": "array", "items": {"type": "string"}},
            "locations": {"type": "array", "items": {"type": "string"}},
            "identifier": {"type": "string"},
            "count": {"type": "number"},
            "deep": {},
        }
    },
}
DECLARATIONS = (json.dumps(PAYMENT), json.dumps(ACCOUNTS))

PAY: dict[str, Any] = {
    "type": PAYMENT_TYPE,
    "actions": ["initiate", "status", "cancel"],
    "locations": ["https://example.com/payments"],
    "instructedAmount": {"currency": "EUR", "amount": "123.50"},
    "creditorName": "Merchant A",
    "creditorAccount": {"iban": "DE02100100109307118603"},
}
"""The payment of RFC 9396 section 2."""
SEE: dict[str, Any] = {
    "type": "account_information",
    "actions": ["list_accounts", "read_balances", "read_transactions"],
    "locations": ["https://example.com/accounts"],
}
"""The accounts of RFC 9396 section 3."""


def sent(*details: Any) -> str:
    """The parameter."""
    return json.dumps(list(details))
