"""The gateway opens nothing outside `state_directory`: it serves where it could not. Outbound: outbound/test_closed_tree_outbound.py."""

from harness.client import secure_client
from harness.messages import message, new_token


def test_mail_comes_in_where_the_gateway_can_open_nothing(closed_tree, start_gateway, sink):
    top = {"state_directory": closed_tree, "user": "nobody"}
    gateway = start_gateway({"address": sink.address}, greeting="gateway", top=top)
    gateway.wait_for_log("closed_tree: nothing is open but")
    token = new_token()
    with secure_client(gateway.port(), "starttls") as client:
        client.send_message("a@example.net", ["b@example.org"], message(token=token))
        client.quit()
    assert sink.maildir.wait_for(token.encode())
