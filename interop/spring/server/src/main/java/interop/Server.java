package interop;

import static org.springaicommunity.mcp.security.server.config.McpServerOAuth2Configurer.mcpServerOAuth2;

import org.springframework.ai.mcp.annotation.McpTool;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.stereotype.Service;

/** An MCP server of Spring AI with the OAuth 2 configurer, as the README of mcp-security has it, audiences validated. */
@SpringBootApplication
public class Server {
    public static void main(String[] args) {
        SpringApplication.run(Server.class, args);
    }

    @Bean
    SecurityFilterChain chain(HttpSecurity http, @Value("${spring.security.oauth2.resourceserver.jwt.issuer-uri}") String issuer) throws Exception {
        return http.authorizeHttpRequests(auth -> auth.anyRequest().authenticated())
                .with(mcpServerOAuth2(), mcp -> mcp.authorizationServer(issuer).validateAudienceClaim(true))
                .build();
    }

    @Service
    static class Tools {
        @McpTool(name = "whoami", description = "Who is asking")
        public String whoami() {
            return SecurityContextHolder.getContext().getAuthentication().getName();
        }
    }
}
