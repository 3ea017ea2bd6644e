"""Authorization details: what a declaration may be, what fits it, what is less than what, and what people read."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.authorization_details import DEPTH, LONGEST, MOST, DetailsTypes, declared
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client
from tests.details import ACCOUNTS, DECLARATIONS, PAY, PAYMENT, PAYMENT_TYPE, SEE, sent

TYPES = DetailsTypes.of(DECLARATIONS)
ANYBODY = Client("app", 1, "App", "confidential", 0, 0)
ACCOUNTANT = Client("app", 1, "App", "confidential", 0, 0, details_types=("account_information",))


class DeclarationTests(SynchronousTestCase):
    """What the operator may declare."""

    def refused(self, because: str, **changes: Any) -> None:
        """This declaration is refused for that reason."""
        with self.assertRaises(ValueError) as raised:
            declared(json.dumps(PAYMENT | changes))
        self.assertIn(because, str(raised.exception))

    def test_members(self) -> None:
        """Each member must be what it is said to be, and no other may stand beside them."""
        for text in ("", "[]", "{", "1", '{"type": "a", "title": "A"}'):
            self.assertRaises(ValueError, declared, text)
        self.refused("no other", schemas={})
        self.refused("type must be", type="with blank")
        self.refused("type must be", type="ünicode")
        self.refused("type must be", type=7)
        self.refused("title and sentence", title="")
        self.refused("title and sentence", sentence=7)
        self.refused("additive", additive="actions")
        self.refused("additive", additive=["type"])
        self.refused("schema", schema=True)
        self.refused("characters", title="x" * 70000)

    def test_schemas(self) -> None:
        """A schema that is none, of another dialect, or that leads out of itself is refused when it is declared."""
        self.refused("schema of", schema={"type": "strnig"})
        self.refused("dialect", schema={"$schema": "http://json-schema.org/draft-07/schema#"})
        for reference in ("https://evil.example/x", "file:///etc/passwd", "#/$defs/none", "other.json"):
            self.refused("schema of", schema={"properties": {"a": {"$ref": reference}}})

    def test_patterns_that_may_take_for_ever(self) -> None:
        """Patterns that only a backtracking matcher knows are refused; nested repetitions are linear here."""
        for pattern in ("(?=a)b", r"(a)\1", "(?<!a)b"):
            self.refused("schema of", schema={"properties": {"a": {"type": "string", "pattern": pattern}}})
        slow = {"type": "slow", "title": "Slow", "schema": {"properties": {"a": {"pattern": "^(a+)+$"}}}}
        types = DetailsTypes.of([json.dumps(slow)])
        value = sent({"type": "slow", "a": "a" * 4000 + "!"})
        self.assertRaises(OAuthError, types.asked, value, ANYBODY)  # with a backtracking one this would not end

    def test_twice(self) -> None:
        """A type is declared once."""
        self.assertRaises(ValueError, DetailsTypes.of, [*DECLARATIONS, DECLARATIONS[0]])


class FittingTests(SynchronousTestCase):
    """Section 5: what is refused."""

    def refused(self, parameter: str, client: Client = ANYBODY) -> str:
        """It is refused with the code that is for it; the description."""
        with self.assertRaises(OAuthError) as raised:
            TYPES.asked(parameter, client)
        self.assertEqual(raised.exception.kind.code, "invalid_authorization_details")
        self.assertRegex(raised.exception.description, r"\A[\x20-\x21\x23-\x5b\x5d-\x7e]{1,300}\Z")
        return str(raised.exception.description)

    def test_what_fits(self) -> None:
        """What fits comes back as it was sent; nothing asked is nothing."""
        self.assertEqual(TYPES.asked(sent(PAY, SEE, SEE), ANYBODY), (PAY, SEE, SEE))
        self.assertEqual(TYPES.asked(None, ANYBODY), ())

    def test_form(self) -> None:
        """Section 2: a JSON array of objects, read one way only."""
        for parameter in (
            "", "[]", "{}", "null", "7", "[1]", "[[]]", '[{}', '[{"type": 7}]', '[{"type": null}]', "[NaN]",
            '[{"type": "account_information", "type": "x"}]',
            '[{"type": "account_information", "identifier": "\\ud800"}]',
            '[{"type": "account_information", "count": 1e999}]',
            '[{"type": "account_information", "count": 9007199254740993}]',
            '[{"type": "account_information", "count": -1e300}]',
            f'[{{"type": "account_information", "count": {"9" * 4000}}}]',
        ):  # fmt: skip
            self.refused(parameter)

    def test_bounds(self) -> None:
        """Length, number of objects and depth are bounded before a schema is asked."""
        self.refused(sent({**SEE, "identifier": "x" * LONGEST}))
        euros = json.dumps([{**SEE, "identifier": "\N{EURO SIGN}" * (LONGEST // 2)}], ensure_ascii=False)
        self.assertLess(len(euros), LONGEST)
        self.refused(euros)
        tiny = {"type": "account_information"}
        self.assertEqual(len(TYPES.asked(sent(*[tiny] * MOST), ANYBODY)), MOST)
        self.refused(sent(*[tiny] * (MOST + 1)))
        deep: Any = 1
        for _ in range(DEPTH - 2):
            deep = [deep]
        TYPES.asked(sent({**tiny, "deep": deep}), ANYBODY)
        self.refused(sent({**tiny, "deep": [deep]}))
        self.refused("[" * 4000)

    def test_section_5(self) -> None:
        """Section 5: unknown types and fields, wrong types and values, missing fields."""
        self.refused(sent({**PAY, "type": "unknown"}))
        self.refused(sent({"actions": []}))
        self.refused(sent({**PAY, "amount": "1"}))
        self.refused(sent({**PAY, "actions": "initiate"}))
        self.refused(sent({**PAY, "actions": ["steal"]}))
        self.refused(sent({**PAY, "instructedAmount": {"currency": "eur", "amount": "1"}}))
        self.refused(sent({name: value for name, value in PAY.items() if name != "creditorName"}))
        self.refused(sent(SEE, {**PAY, "locations": ["no address"]}))

    def test_unknown_fields_of_inner_objects(self) -> None:
        """Section 5: a field that the schema does not name is refused inside, too, also behind a reference."""
        self.refused(sent({**PAY, "instructedAmount": {"currency": "EUR", "amount": "1", "tip": "2"}}))
        self.refused(sent({**PAY, "creditorAccount": {"iban": "DE02", "bic": "X"}}))

    def test_unknown_fields_wherever_fields_are_named(self) -> None:
        """Wherever a schema names fields, others are refused: by pattern, place, choice, condition or reference."""
        inner: dict[str, Any] = {"properties": {"b": {}}}
        for schema, good, bad in (
            ({"patternProperties": {"^b": {}}}, {"b1": 1}, {"c": 1}),
            ({"patternProperties": {"^b": inner}}, {"b1": {"b": 1}}, {"b1": {"c": 1}}),
            ({"prefixItems": [inner]}, [{"b": 1}], [{"c": 1}]),
            ({"oneOf": [{"properties": {"a": inner}, "required": ["a"]}]}, {"a": {"b": 1}}, {"a": {"c": 1}}),
            ({"if": {}, "then": inner}, {"b": 1}, {"c": 1}),
            ({"dependentSchemas": {"b": inner}}, {"b": 1}, {"b": 1, "c": 1}),
            ({"$ref": "#/$defs/outer"}, {"a": {"b": 1}}, {"a": {"c": 1}}),
        ):
            whole = {"properties": {"in": schema}, "$defs": {"outer": {"properties": {"a": inner}}}}
            types = DetailsTypes.of([json.dumps({"type": "t", "title": "T", "schema": whole})])
            self.assertEqual(types.asked(sent({"type": "t", "in": good}), ANYBODY), ({"type": "t", "in": good},))
            self.assertRaises(OAuthError, types.asked, sent({"type": "t", "in": bad}), ANYBODY)

    def test_a_schema_may_leave_itself_open(self) -> None:
        """What a schema allows expressly stays allowed."""
        opened = {**ACCOUNTS, "schema": {**ACCOUNTS["schema"], "additionalProperties": True}}
        types = DetailsTypes.of([json.dumps(opened)])
        self.assertEqual(len(types.asked(sent({**SEE, "more": {"of": "it"}}), ANYBODY)), 1)

    def test_clients(self) -> None:
        """A client that was given types uses no others, and none by itself that it was not given."""
        self.refused(sent(PAY), ACCOUNTANT)
        self.assertEqual(TYPES.asked(sent(SEE), ACCOUNTANT), (SEE,))
        self.assertEqual(TYPES.of_client(sent(SEE), ACCOUNTANT), (SEE,))
        self.assertRaises(OAuthError, TYPES.of_client, sent(SEE), ANYBODY)
        self.assertEqual(TYPES.of_client(None, ANYBODY), ())

    def test_nothing_of_the_request_is_told_again(self) -> None:
        """A description names the place, and neither values nor names that could do harm where it is shown."""
        said = self.refused(sent({**PAY, "actions": ["<script>secret"]}))
        self.assertNotIn("secret", said)
        said = self.refused(sent({**PAY, "<script>": 1}))
        self.assertNotIn("<", said)
        self.assertIn("/actions/0", self.refused(sent({**PAY, "actions": ["steal"]})))

    @settings(deadline=None)
    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever is sent, it fits or is refused with that one code."""
        try:
            TYPES.asked(text, ANYBODY)
        except OAuthError as error:
            self.assertEqual(error.kind.code, "invalid_authorization_details")


class NarrowingTests(SynchronousTestCase):
    """Section 6.1: what is less than what was granted."""

    granted = (PAY, SEE)

    def narrowed(self, *wanted: Any) -> Any:
        """What a request for that gets."""
        return TYPES.narrowed(sent(*wanted), ANYBODY, self.granted)

    def refused(self, *wanted: Any) -> None:
        """A request for that is refused."""
        with self.assertRaises(OAuthError) as raised:
            self.narrowed(*wanted)
        self.assertEqual(raised.exception.kind.code, "invalid_authorization_details")

    def test_everything(self) -> None:
        """Without the parameter a token gets all that was granted."""
        self.assertEqual(TYPES.narrowed(None, ANYBODY, self.granted), self.granted)

    def test_whole_objects(self) -> None:
        """Some of the objects, in any order, their members in any order."""
        self.assertEqual(self.narrowed(SEE), (SEE,))
        self.assertEqual(self.narrowed(SEE, dict(reversed(PAY.items()))), (SEE, PAY))

    def test_entries_that_add_up(self) -> None:
        """The example of section 6.1: fewer actions, where the type says that actions add up."""
        less = {**SEE, "actions": ["list_accounts"]}
        self.assertEqual(self.narrowed(less), (less,))

    def test_more_is_refused(self) -> None:
        """Other values, more entries, another type: nothing that was not granted."""
        self.refused({**SEE, "actions": [*SEE["actions"], "delete"]})
        self.refused({**SEE, "locations": ["https://evil.example"]})
        self.refused({**PAY, "instructedAmount": {"currency": "EUR", "amount": "999.00"}})
        self.refused({**PAY, "creditorName": "Merchant B"})
        self.refused(SEE, {**PAY, "urgent": True})
        self.assertRaises(OAuthError, TYPES.narrowed, sent(PAY), ANYBODY, (SEE,))
        self.assertRaises(OAuthError, TYPES.narrowed, sent(PAY), ANYBODY, ())

    def test_less_may_be_more(self) -> None:
        """A member left out, an empty list, or fewer entries that do not add up may mean more: refused."""
        self.refused({name: value for name, value in SEE.items() if name != "locations"})
        self.refused({**SEE, "actions": []})
        self.refused({**PAY, "actions": ["initiate"]})

    def test_once_is_once(self) -> None:
        """One payment granted is not two."""
        self.refused(PAY, PAY)
        self.assertEqual(TYPES.narrowed(sent(PAY, PAY), ANYBODY, (PAY, PAY)), (PAY, PAY))

    def test_parts_of_one_are_one(self) -> None:
        """A part of what was granted once is neither had twice nor beside the whole, whatever the order."""
        less, other = {**SEE, "actions": ["list_accounts"]}, {**SEE, "actions": ["read_balances"]}
        for wanted in ((less, less), (less, other), (less, SEE), (SEE, less)):
            self.refused(*wanted)
        for wanted, granted in (
            ((less, SEE), (SEE, SEE)),
            ((other, less), ({**SEE, "actions": ["list_accounts", "read_balances"]}, less)),
            ((less, other), ({**SEE, "actions": ["list_accounts", "read_balances"]}, less)),
        ):
            self.assertEqual(TYPES.narrowed(sent(*wanted), ANYBODY, granted), wanted)

    def test_values_that_python_takes_for_equal_once(self) -> None:
        """Of 1 and true that were granted, true is not had twice."""
        one, truth = ({"type": "account_information", "deep": value} for value in (1, True))
        self.assertRaises(OAuthError, TYPES.narrowed, sent(truth, truth), ANYBODY, (one, truth))

    def test_values_that_python_takes_for_equal(self) -> None:
        """1, 1.0 and true are three values, and texts are compared as they are (section 12)."""
        for granted, wanted in ((1, 1.0), (1, True), (0, False), ("\u00e9", "e\u0301"), (None, False)):
            held, asked = ({"type": "account_information", "deep": value} for value in (granted, wanted))
            self.assertRaises(OAuthError, TYPES.narrowed, sent(asked), ANYBODY, (held,))

    def test_a_type_that_is_gone(self) -> None:
        """What was granted stays granted when its type is declared no more, but is not to be named."""
        self.assertEqual(DetailsTypes().narrowed(None, ANYBODY, (PAY,)), (PAY,))
        self.assertRaises(OAuthError, DetailsTypes().narrowed, sent(PAY), ANYBODY, (PAY,))


class ShownTests(SynchronousTestCase):
    """What people read."""

    def test_everything_is_shown(self) -> None:
        """Title, sentence and every member, with the words of the schema where it has any."""
        (shown,) = TYPES.shown([PAY])
        self.assertEqual(shown.title, "Start a payment")
        self.assertEqual("".join(words for words, _ in shown.sentence), "Pay 123.50 EUR to Merchant A")
        self.assertEqual([words for words, chosen in shown.sentence if chosen], ["123.50", "EUR", "Merchant A"])
        self.assertEqual(
            [(line.label, line.value) for line in shown.lines],
            [
                ("actions", "initiate, status, cancel"),
                ("locations", "https://example.com/payments"),
                ("Amount, currency", "EUR"),
                ("Amount, amount", "123.50"),
                ("Creditor", "Merchant A"),
                ("creditorAccount, iban", "DE02100100109307118603"),
            ],
        )

    def test_every_kind_of_value(self) -> None:
        """Lists of objects are numbered, and there is a word for everything."""
        deep = [{"a": True}, {"a": None, "b": [[1, 2], []]}, 2.5, {}]
        (shown,) = TYPES.shown([{"type": "account_information", "deep": deep}])
        found = {line.label: line.value for line in shown.lines}
        dash = "\N{EM DASH}"
        self.assertEqual(
            found,
            {
                "deep 1, a": "yes", "deep 2, a": dash, "deep 2, b 1": "1, 2", "deep 2, b 2": dash,
                "deep 3": "2.5", "deep 4": dash,
            },
        )  # fmt: skip

    def test_a_sentence_looks_at_members_alone(self) -> None:
        """A place in a sentence is the name of a member, and nothing of Python's."""
        odd = {**ACCOUNTS, "sentence": "{identifier.__class__} {__class__} {deep.0} {{x}}"}
        (shown,) = DetailsTypes.of([json.dumps(odd)]).shown([{**SEE, "identifier": "x", "deep": ["y"]}])
        self.assertNotIn("class", "".join(words for words, chosen in shown.sentence if chosen))

    def test_a_type_that_is_gone(self) -> None:
        """A type that is declared no more is shown by its name."""
        (shown,) = DetailsTypes().shown([PAY])
        self.assertEqual((shown.title, shown.sentence), (PAYMENT_TYPE, ()))
        self.assertEqual(len(shown.lines), 6)
