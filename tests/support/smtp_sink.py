"""A mail server that keeps what it is given: one JSON line on standard output for each message.

usage: smtp_sink.py [--refuse CODE TIMES] [--sign-in USER PASSWORD] [--tls CERTIFICATE KEY]

The first line that it prints is the port. `--refuse` answers so many messages with CODE before it takes any.
"""

import asyncio
import base64
import json
import ssl
import sys


def option(name, count):
    if name not in sys.argv:
        return None
    at = sys.argv.index(name)
    return sys.argv[at + 1 : at + 1 + count]


refusal = option("--refuse", 2)
left = int(refusal[1]) if refusal else 0
account = option("--sign-in", 2)


async def serve(reader, writer):
    global left
    sender, recipients, signed_in = None, [], account is None

    async def say(text):
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    await say("220 sink.example ESMTP")
    while line := await reader.readline():
        words = line.decode().strip()
        verb = words.split(" ")[0].upper()
        if verb == "EHLO":
            await say("250-sink.example")
            if account:
                await say("250-AUTH PLAIN")
            await say("250 8BITMIME")
        elif verb == "AUTH":
            _, user, password = base64.b64decode(words.split(" ")[2]).decode().split("\0")
            signed_in = [user, password] == account
            await say("235 welcome" if signed_in else "535 who are you")
        elif verb in ("MAIL", "RCPT") and not signed_in:
            await say("530 sign in first")
        elif verb == "MAIL":
            sender, recipients = words.split(":", 1)[1], []
            await say("250 fine")
        elif verb == "RCPT":
            recipients.append(words.split(":", 1)[1])
            await say("250 fine")
        elif verb == "DATA":
            await say("354 go on")
            data = b""
            while not data.endswith(b"\r\n.\r\n"):
                data += await reader.readline()
            if left > 0:
                left -= 1
                await say(f"{refusal[0]} {recipients} is not taken")
                print(json.dumps({"refused": refusal[0]}), flush=True)
                continue
            message = data[:-3].replace(b"\r\n..", b"\r\n.").decode()
            print(json.dumps({"from": sender, "to": recipients, "message": message}), flush=True)
            await say("250 taken")
        elif verb == "QUIT":
            await say("221 bye")
            break
        else:
            await say("250 fine")
    writer.close()


async def main():
    context = None
    if tls := option("--tls", 2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
