"""
Tests of the signatures of webhooks.
"""

import time
from base64 import b64encode

from standardwebhooks import Webhook, WebhookVerificationError
from twisted.trial.unittest import SynchronousTestCase

from tests.support.webhook_receiver import new_secret
from twisted_registry.deliveries.signing import parse_secrets, signature

_BODY = '{"type": "alias.moved", "data": {"modelId": "wälker"}}'.encode()


def headers(content: str, timestamp: int) -> dict[str, str]:
    """
    Return the headers of a webhook that the secrets in a file sign.
    """
    signed = signature(parse_secrets(content.encode()), "msg_1", timestamp, _BODY)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": signed}


class SignatureTests(SynchronousTestCase):
    """
    Signatures, as the library of Standard Webhooks checks them.
    """

    def test_the_example_of_the_specification(self) -> None:
        """
        The signature of the specification's example is that of the specification.
        """
        keys = parse_secrets(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        body = b'{"test": 2432232314}'
        expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        self.assertEqual(signature(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body), expected)

    def test_the_secret_verifies(self) -> None:
        """
        The receiver that has the secret accepts the signature.
        """
        secret = new_secret()
        event = Webhook(secret).verify(_BODY, headers(secret, int(time.time())))
        self.assertEqual(event["data"]["modelId"], "wälker")

    def test_another_secret_does_not(self) -> None:
        """
        A receiver with another secret refuses it.
        """
        made = headers(new_secret(), int(time.time()))
        self.assertRaises(WebhookVerificationError, Webhook(new_secret()).verify, _BODY, made)

    def test_old_and_new_secrets_verify(self) -> None:
        """
        While a secret is replaced, receivers with the old one and the new one accept it.
        """
        old, new = new_secret(), new_secret()
        made = headers(f"{new}\n{old}\n", int(time.time()))
        for secret in (old, new):
            Webhook(secret).verify(_BODY, made)

    def test_an_old_timestamp_is_refused(self) -> None:
        """
        The timestamp is signed, so an old webhook cannot be sent again.
        """
        secret = new_secret()
        made = headers(secret, int(time.time()) - 3600)
        self.assertRaises(WebhookVerificationError, Webhook(secret).verify, _BODY, made)
        made["webhook-timestamp"] = str(int(time.time()))
        self.assertRaises(WebhookVerificationError, Webhook(secret).verify, _BODY, made)


class SecretTests(SynchronousTestCase):
    """
    Files of secrets.
    """

    def test_refused(self) -> None:
        """
        A text that is not a secret is refused, and does not stand in the error.
        """
        short = f"whsec_{b64encode(b'x' * 23).decode()}"
        long = f"whsec_{b64encode(b'x' * 65).decode()}"
        plain = b64encode(b"x" * 32).decode()
        for content in ("", "\n\n", "whsec_", "whsec_!!!!", plain, short, long, "\n".join([new_secret()] * 6)):
            error = self.assertRaises(ValueError, parse_secrets, content.encode())
            self.assertRegex(str(error), "^has ")
            for line in content.split():
                self.assertNotIn(line.removeprefix("whsec_") or "-", str(error))
