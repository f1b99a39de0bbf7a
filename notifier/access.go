package notifier

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
)

// grant returns what the caller may see, by the token in its metadata; the zero grant is everything.
func (n *Notifier) grant(ctx context.Context) (account.Grant, error) {
	if n.tokens == nil {
		return account.Grant{}, nil
	}
	const hint = `send the metadata "authorization: Bearer <token>" with a token of the account`
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return account.Grant{}, status.Error(codes.Unauthenticated, "a token is required: "+hint)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return account.Grant{}, status.Error(codes.Unauthenticated, "the authorization is no bearer token: "+hint)
	}
	g, ok := n.tokens.Lookup(token)
	if !ok {
		return account.Grant{}, status.Error(codes.Unauthenticated, "the token is unknown: "+hint)
	}
	return g, nil
}
