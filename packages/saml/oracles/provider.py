# An identity provider by Lasso (C, libxml2, xmlsec), the library inside of LemonLDAP::NG: answers one signed request.
# In: JSON on standard input. Out: the form field SAMLResponse. Errors are Lasso's own, with exit status 1.
import datetime
import json
import sys

import lasso

ask = json.load(sys.stdin)
server = lasso.Server.newFromBuffers(ask["idpMetadata"], ask["idpKey"], None, ask["idpCertificate"])
server.signatureMethod = lasso.SIGNATURE_METHOD_RSA_SHA256
server.addProviderFromBuffer(lasso.PROVIDER_ROLE_SP, ask["spMetadata"])
provider = server.getProvider(ask["spEntityId"])
if ask["encrypt"]:
    provider.setEncryptionMode(lasso.ENCRYPTION_MODE_ASSERTION)
    provider.setEncryptionSymKeyType(lasso.ENCRYPTION_SYM_KEY_TYPE_AES_256)
    provider.setKeyEncryptionMethod(getattr(lasso, ask["keyMethod"]))
login = lasso.Login(server)
# Refuses a request whose signature does not hold under the certificate of the service's metadata.
login.processAuthnRequestMsg(ask["query"])
login.validateRequestMsg(True, True)
now = datetime.datetime.utcnow()


def instant(minutes):
    return (now + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


login.buildAssertion("urn:oasis:names:tc:SAML:2.0:ac:classes:Password", instant(0), None, instant(-1), instant(5))
text = lasso.MiscTextNode.newWithString("alice@acme.test")
text.textChild = True
value = lasso.Saml2AttributeValue()
value.any = [text]
attribute = lasso.Saml2Attribute()
attribute.name = "mail"
attribute.attributeValue = [value]
statement = lasso.Saml2AttributeStatement()
statement.attribute = [attribute]
login.assertion.attributeStatement = [statement]
login.buildAuthnResponseMsg()
print(login.msgBody)
